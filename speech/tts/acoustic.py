"""The acoustic model as a whole: ids of many lines to normalised mel frames (specification section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from speech.errors import ModelError
from speech.tts.adaptor import Memory, VarianceAdaptor
from speech.tts.checkpoint import NetworkFiles, Weights, newest_checkpoint, read_checkpoint
from speech.tts.config import AcousticConfig, read_acoustic_config
from speech.tts.decoder import PncaDecoder
from speech.tts.decoding import BufferSource, DecoderInput, decode
from speech.tts.encoder import TextEncoder
from speech.tts.layers import Fsmn, Network, embedding, linear, lstm, valid_positions
from speech.tts.pauses import FilledPauses
from speech.tts.symbols import SymbolIds, SymbolTable

VOICED_FROM = 0.6
LOWEST_F0 = 30.0


@dataclass(frozen=True)
class Together:
    """How much of a padded batch goes through the encoder (symbols) and the postnet (frames) at a time; 0: a row.

    The numbers bound memory: attention maps and hidden layers.
    """

    symbols: int
    frames: int


EACH_ROW = Together(0, 0)
"""For a CPU: as fast as padded rows, and a row comes out with the same bits whatever batch it is in."""
PADDED = Together(4096, 8192)
"""For a GPU, which waits for launches."""


@dataclass(frozen=True)
class Spoken:
    """The acoustic model's answer for one line.

    ``mel`` float32 [frames, mels], normalised, before f0 denormalisation; ``durations`` int64 [symbols] frames of
    each symbol of the line, an inserted filled pause counted with the symbol behind it.
    """

    mel: Tensor
    durations: NDArray[np.int64]


@dataclass(frozen=True)
class AcousticInput:
    """One line: ids and by how much to speed it up."""

    ids: SymbolIds
    speed: float = 1.0


@dataclass(frozen=True)
class Encoded:
    """A padded batch after the encoder: vectors [rows, symbols, width] and valid symbols per row."""

    text: Tensor
    speaker: Tensor
    emotion: Tensor
    lengths: list[int]
    owners: list[list[int]]  # for each vector, the symbol of the line that its frames are counted with


class Sambert(Network):
    """Encoder, variance adaptor, decoder and postnet with one voice's weights."""

    def __init__(self, weights: Weights, config: AcousticConfig, files: NetworkFiles) -> None:
        super().__init__()
        self.config = config
        self.symbols = SymbolTable(
            config.language, config.speakers, bytes_in=config.bytes_in, any_speaker=config.speaker_vector
        )
        self.encoder = TextEncoder(weights.under("text_encoder"), config.encoder_heads, bytes_in=config.bytes_in)
        self._check_tables(weights)
        self.emotions = embedding(weights, "emo_tokenizer")
        self.speakers = None if config.speaker_vector else embedding(weights, "spk_tokenizer")
        self.register_buffer("speaker_vector", _speaker_vector(files.speaker_vector) if config.speaker_vector else None)
        self.pauses = FilledPauses(weights.under("FP_predictor")) if config.filled_pauses else None
        self.adaptor = VarianceAdaptor(
            weights.under("variance_adaptor"), config.predictor_shift, config.frames_per_step
        )
        self.decoder = PncaDecoder(
            weights.under("mel_decoder.mel_dec"), config.decoder_heads, config.frames_per_step, config.mels
        )
        self.postnet = Postnet(weights.under("mel_postnet"), config)
        self.buffer_source = BufferSource()
        self.together = EACH_ROW
        if config.nsf:
            scale, offset = _f0_scale(config, files.f0_statistics)
            self.f0_scale, self.f0_offset = scale, offset

    def _check_tables(self, weights: Weights) -> None:
        """Refuse embeddings too small for the dictionaries; a missing mask row is fine (has_mask: false)."""
        names = ["byte_index_emb"] if self.config.bytes_in else ["sy_emb", "tone_emb", "syllable_flag_emb", "ws_emb"]
        tables = {f"text_encoder.{name}": self.symbols.fields[i] for i, name in enumerate(names)}
        tables["emo_tokenizer"] = "emo_category"
        if not self.config.speaker_vector:
            tables["spk_tokenizer"] = "speaker_category"
        for name, field in tables.items():
            rows, size = weights.take(f"{name}.weight", None, None).shape[0], self.symbols.size(field)
            if rows not in (size + 2, size + 3):
                raise weights.error(
                    f"{name}.weight",
                    f"has {rows} rows, but the {field} dictionary of {self.config.file} has {size} symbols "
                    f"(wanted {size + 3}, or {size + 2} without a mask row): other language or speaker list?",
                )

    def numbers(self) -> int:
        """Return how many numbers the model holds, folded matrices counted as kept."""
        return sum(one.numel() for one in (*self.parameters(), *self.buffers()))

    def encode(self, ids: Sequence[SymbolIds]) -> Encoded:
        """Run the encoder on a padded batch and put filled pauses in where the voice makes them."""
        device = self.emotions.weight.device
        lengths = [len(one) for one in ids]
        text = self.encoder(_stack([one.linguistic for one in ids], device), torch.tensor(lengths, device=device))
        emotion = _stack([one.emotion for one in ids], device)
        speaker = _stack([one.speaker for one in ids], device)
        owners = [list(range(length)) for length in lengths]
        if self.pauses is not None:
            fixed = self.pauses.fixed_vectors(self.encoder, self.symbols)
            text, index, owners = self.pauses.insert(text, lengths, fixed)
            emotion, speaker = emotion.gather(1, index), speaker.gather(1, index)
            lengths = [len(one) for one in owners]
        vector = self.speaker_vector
        speakers = self.speakers(speaker) if self.speakers is not None else vector.expand(*emotion.shape, -1)
        return Encoded(text, speakers, self.emotions(emotion), lengths, owners)

    def memories(self, lines: Sequence[AcousticInput]) -> tuple[list[Memory], list[NDArray[np.int64]]]:
        """Return each line's decoder memory and the frames of its own symbols."""
        encoded = self.encode([line.ids for line in lines])
        lengths = torch.tensor(encoded.lengths, device=encoded.text.device)
        mask = valid_positions(lengths, encoded.text.shape[1]).unsqueeze(2).to(encoded.text.dtype)
        prosody = self.adaptor(encoded.text, encoded.speaker, encoded.emotion, lengths, mask)
        wanted = torch.exp(prosody.log_duration) - 1.0
        speeds = torch.tensor([line.speed for line in lines], device=wanted.device)
        # Division by 1.0 is exact: a line at its own speed keeps its very durations.
        wanted = (wanted / speeds.unsqueeze(1)).cpu()
        made, durations = [], []
        for row, (line, length) in enumerate(zip(lines, encoded.lengths, strict=True)):
            memory = self.adaptor.regulate(
                prosody.text[row, :length], encoded.speaker[row, :length], encoded.emotion[row, :length], wanted[row]
            )
            made.append(memory)
            own = np.zeros(len(line.ids), dtype=np.int64)
            np.add.at(own, encoded.owners[row], memory.durations)
            durations.append(own)
        return made, durations

    @torch.inference_mode()
    def forward(self, lines: Sequence[AcousticInput], slots: int) -> list[Spoken]:
        """Speak lines of any lengths, each exactly as alone; at most ``slots`` rows are decoded at a time."""
        if not lines:
            return []
        if self.emotions.weight.device.type == "cpu":
            return self._spoken(lines, slots)
        # cuDNN's TF32 has ten bits: enough to move a duration over a rounding step. (The flags are the process's own.)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self._spoken(lines, slots)

    def _spoken(self, lines: Sequence[AcousticInput], slots: int) -> list[Spoken]:
        memories: dict[int, Memory] = {}
        durations: dict[int, NDArray[np.int64]] = {}
        for group in similar_groups([len(line.ids) for line in lines], self.together.symbols):
            for number, memory, frames in zip(group, *self.memories([lines[n] for n in group]), strict=True):
                memories[number], durations[number] = memory, frames
        speaking = [number for number in range(len(lines)) if memories[number].frames]
        inputs = [DecoderInput(memories[n].vectors, memories[n].band) for n in speaking]
        decoded = decode(self.decoder, inputs, slots, self.buffer_source)
        lengths = [memories[n].frames for n in speaking]
        finished = dict(zip(speaking, self.postnet.rows(decoded, lengths, self.together.frames), strict=True))
        silence = self.emotions.weight.new_zeros(0, self.config.mels)
        return [Spoken(finished.get(n, silence), durations[n]) for n in range(len(lines))]

    def denormalise(self, mel: Tensor) -> Tensor:
        """Return what the vocoder wants: NSF channels 80 and 81 as f0 in Hz (at least 30) and voicing 0 or 1."""
        if not self.config.nsf:
            return mel
        f0 = (mel[:, -2] * self.f0_scale + self.f0_offset).clamp(min=LOWEST_F0)
        voiced = (mel[:, -1] >= VOICED_FROM).to(mel.dtype)
        return torch.cat([mel[:, :-2], f0.unsqueeze(1), voiced.unsqueeze(1)], dim=1)


class Postnet(Network):
    """FSMN with a short look-ahead, LSTM, residual (specification section 2.9)."""

    def __init__(self, weights: Weights, config: AcousticConfig) -> None:
        super().__init__()
        self.fsmn = Fsmn(weights.under("fsmn"), config.postnet_shift)
        self.lstm = lstm(weights, "lstm")
        self.fc = linear(weights, "fc", self.lstm.hidden_size, config.mels)

    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """Map a padded batch [rows, frames, mels] to the same shape, zero beyond each row's length."""
        mask = valid_positions(lengths, mel.shape[1]).unsqueeze(2).to(mel.dtype)
        mel = mel * mask
        remembered, _ = self.lstm(self.fsmn(mel, mask))
        return (mel + self.fc(remembered)) * mask

    def rows(self, mels: Sequence[Tensor], frames: Sequence[int], most: int) -> list[Tensor]:
        """Finish rows of any lengths, similar ones together, at most so many padded frames."""
        results: dict[int, Tensor] = {}
        for group in similar_groups(frames, most):
            batch = nn.utils.rnn.pad_sequence([mels[n][: frames[n]] for n in group], batch_first=True)
            lengths = torch.tensor([frames[n] for n in group], device=batch.device)
            finished = self(batch, lengths)
            results.update({n: finished[row, : frames[n]] for row, n in enumerate(group)})
        return [results[n] for n in range(len(mels))]


def similar_groups(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Split row numbers into groups of similar length whose padded size stays within ``most`` (or one row)."""
    groups: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        if groups and (len(groups[-1]) + 1) * lengths[number] <= most:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def load_acoustic(where: Path | NetworkFiles) -> Sambert:
    """Load an ``am/`` folder (``config.yaml``, ``ckpt/``, ``se.npy``, ``mvn.npy``) or such files; raise ModelError."""
    files = NetworkFiles.of(where)
    config = read_acoustic_config(files.config)
    weights = read_checkpoint(newest_checkpoint(files.checkpoints), "model")
    return Sambert(weights, config, files).eval()


def _stack(rows: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Right-pad with id 0: a valid symbol, but nothing reads it."""
    return nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True).to(device)


def _speaker_vector(file: Path) -> Tensor:
    return torch.from_numpy(_read_array(file, "the speaker vector")).reshape(-1)


def _f0_scale(config: AcousticConfig, file: Path) -> tuple[float, float]:
    if config.nsf_norm == "global":
        return config.nsf_maximum - config.nsf_minimum, config.nsf_minimum
    mean_and_deviation = _read_array(file, "mean and deviation of f0").reshape(-1)
    if mean_and_deviation.size != 2:
        raise ModelError(f"{file} holds {mean_and_deviation.size} numbers, wanted 2 (f0 mean, deviation)")
    return float(mean_and_deviation[1]), float(mean_and_deviation[0])


def _read_array(file: Path, what: str) -> np.ndarray:
    try:
        array = np.load(file, allow_pickle=False)
    except FileNotFoundError as error:
        raise ModelError(f"{file} ({what}) is missing", code="model_missing") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} ({what}) cannot be read: {error}") from error
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ModelError(f"{file} ({what}) does not hold finite numbers")
    return array.astype(np.float32)
