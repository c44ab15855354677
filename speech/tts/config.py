"""The few settings of a voice that its tensors do not tell (specification sections 2.1, 3.1 and 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech.errors import ModelError
from speech.tts.checkpoint import read_yaml


@dataclass(frozen=True)
class AcousticConfig:
    """What inference needs from ``am/config.yaml`` beside the tensors' shapes."""

    encoder_heads: int
    decoder_heads: int
    frames_per_step: int
    predictor_shift: tuple[int, ...] | int
    postnet_shift: tuple[int, ...] | int
    mels: int
    nsf: bool
    nsf_norm: str
    nsf_minimum: float
    nsf_maximum: float
    speaker_vector: bool
    filled_pauses: bool
    bytes_in: bool
    language: str
    speakers: tuple[str, ...]
    sample_rate: int | None
    file: Path


@dataclass(frozen=True)
class VocoderConfig:
    """What inference needs from ``voc/config.yaml`` beside the tensors' shapes."""

    scales: tuple[int, ...]
    dilations: tuple[tuple[int, ...], ...]
    causal: bool
    slope: float
    nsf: bool
    harmonics: int
    sample_rate: int
    file: Path

    @property
    def hop_length(self) -> int:
        """Samples made from one mel frame."""
        product = 1
        for scale in self.scales:
            product *= scale
        return product


def read_acoustic_config(file: Path) -> AcousticConfig:
    """Read ``am/config.yaml``; raise ModelError naming file and key."""
    settings = _Settings(read_yaml(file), file)
    params = settings.under("Model").under("KanTtsSAMBERT").under("params")
    unit = settings.under("linguistic_unit")
    return AcousticConfig(
        encoder_heads=params.number("encoder_num_heads"),
        decoder_heads=params.number("decoder_num_heads"),
        frames_per_step=params.number("outputs_per_step"),
        predictor_shift=params.shifts("predictor_shift"),
        postnet_shift=params.shifts("postnet_shift"),
        mels=params.number("num_mels"),
        nsf=bool(params.get("NSF", default=False)),
        nsf_norm=params.choice("nsf_norm_type", "mean_std", "global"),
        nsf_minimum=params.real("nsf_f0_global_minimum", 30.0),
        nsf_maximum=params.real("nsf_f0_global_maximum", 730.0),
        speaker_vector=bool(params.get("SE", default=False)),
        filled_pauses=bool(params.get("FP", default=False)),
        bytes_in=bool(params.get("using_byte", default=False)),
        language=str(unit.get("language", default="PinYin")),
        speakers=tuple(name.strip() for name in str(unit.get("speaker_list")).split(",")),
        sample_rate=_sample_rate(settings),
        file=file,
    )


def read_vocoder_config(file: Path) -> VocoderConfig:
    """Read ``voc/config.yaml``; raise ModelError naming file and key."""
    settings = _Settings(read_yaml(file), file)
    params = settings.under("Model").under("Generator").under("params")
    nsf = params.get("nsf_params", default=None)
    source = params.under("nsf_params") if nsf is not None else None
    rate = _sample_rate(settings) or (source.number("sampling_rate") if source else None)
    if rate is None:
        raise ModelError(f"{file}: key audio_config.sampling_rate is missing")
    if params.number("out_channels", 1) != 1:
        raise ModelError(f"{file}: key out_channels: only one output channel is supported (no multi-band)")
    return VocoderConfig(
        scales=params.numbers("upsample_scales"),
        dilations=tuple(
            params.sequence_of_numbers(f"resblock_dilations[{index}]", row)
            for index, row in enumerate(params.sequence("resblock_dilations"))
        ),
        causal=bool(params.get("causal", default=True)),
        slope=_slope(params),
        nsf=source is not None,
        harmonics=source.number("nb_harmonics") + 1 if source else 0,
        sample_rate=source.number("sampling_rate") if source else rate,
        file=file,
    )


def _slope(params: _Settings) -> float:
    kind = params.get("nonlinear_activation", default="LeakyReLU")
    if kind != "LeakyReLU":
        raise ModelError(f"{params.file}: key {params.path}nonlinear_activation is {kind!r}, only LeakyReLU is known")
    nested = params.get("nonlinear_activation_params", default={"negative_slope": 0.1}) or {}
    # PyTorch's own default, for a configuration that leaves the slope out.
    return float(nested.get("negative_slope", 0.01))


def _sample_rate(settings: _Settings) -> int | None:
    if settings.get("audio_config", default=None) is None:
        return None
    return settings.under("audio_config").number("sampling_rate")


class _Settings:
    """A nested mapping whose complaints name the file and the dotted key."""

    def __init__(self, values: Mapping[str, Any], file: Path, path: str = "") -> None:
        self._values = values
        self.file = file
        self.path = path

    def _error(self, key: str, what: str) -> ModelError:
        return ModelError(f"{self.file}: key {self.path}{key} {what}")

    def get(self, key: str, *, default: Any = ...) -> Any:
        value = self._values.get(key, default)
        if value is ...:
            raise self._error(key, "is missing")
        return value

    def under(self, key: str) -> _Settings:
        value = self.get(key)
        if not isinstance(value, Mapping):
            raise self._error(key, "is no mapping")
        return _Settings(value, self.file, f"{self.path}{key}.")

    def number(self, key: str, default: int | None = None) -> int:
        value = self.get(key, default=... if default is None else default)
        return self._positive(key, value)

    def real(self, key: str, default: float) -> float:
        value = self.get(key, default=default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(key, f"is {value!r}, a number is wanted")
        return float(value)

    def choice(self, key: str, *choices: str) -> str:
        value = self.get(key, default=choices[0])
        if value not in choices:
            raise self._error(key, f"is {value!r}, wanted one of {', '.join(choices)}")
        return str(value)

    def sequence(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list) or not value:
            raise self._error(key, f"is {value!r}, a list is wanted")
        return value

    def numbers(self, key: str) -> tuple[int, ...]:
        return self.sequence_of_numbers(key, self.sequence(key))

    def sequence_of_numbers(self, key: str, values: Any) -> tuple[int, ...]:
        if not isinstance(values, list) or not values:
            raise self._error(key, f"is {values!r}, a list is wanted")
        return tuple(self._positive(key, value) for value in values)

    def shifts(self, key: str) -> tuple[int, ...] | int:
        value = self.get(key, default=0)
        values = value if isinstance(value, list) else [value]
        if any(isinstance(one, bool) or not isinstance(one, int) or one < 0 for one in values):
            raise self._error(key, f"is {value!r}, whole numbers from 0 are wanted")
        return tuple(values) if isinstance(value, list) else int(value)

    def _positive(self, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self._error(key, f"is {value!r}, a whole number from 1 is wanted")
        return value
