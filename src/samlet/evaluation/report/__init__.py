"""Results as something to read: report.json, report.html, pictures, comparisons."""
