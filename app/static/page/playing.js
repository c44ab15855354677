// One sound at a time.

let current = null;

export function playAlone(audio) {
  if (current && current !== audio) current.pause();
  current = audio;
  return audio.play().catch((error) => {
    if (error.name !== "AbortError") audio.dispatchEvent(new CustomEvent("unplayable"));
  });
}
