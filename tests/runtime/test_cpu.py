from __future__ import annotations

import pytest

from samlet.runtime import cpu


@pytest.mark.parametrize(
    ("numbers", "found"), [((), ()), ((cpu.AVX512,), ("AVX-512",)), ((cpu.AVX512, cpu.VNNI), ("AVX-512", "VNNI"))]
)
def test_features(monkeypatch, numbers, found):
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda number: number in numbers)
    assert cpu.cpu_features() == found


def test_the_name_is_the_first_in_the_systems_list(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor: 0\nmodel name\t: Abacus 3000 \nmodel name\t: Abacus 3001\n")
    monkeypatch.setattr(cpu, "Path", lambda _: tmp_path / "cpuinfo")
    assert cpu.cpu_name() == "Abacus 3000"
    monkeypatch.setattr(cpu, "Path", lambda _: tmp_path / "missing")
    monkeypatch.setattr(cpu.platform, "processor", lambda: "")
    assert cpu.cpu_name() == cpu.platform.machine()
