"""The slow orders of operation that samlet's are compared with."""
