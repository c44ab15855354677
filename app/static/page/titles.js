// What a job is called in the list: words of its own where it has some.

const MOST = 90;

const short = (text) => (text.length > MOST ? `${text.slice(0, MOST)}…` : text);
const ownName = (job) => job.input.title || job.metadata?.path || job.input.files?.[0]?.name || job.input.url;

export function titleOf(job) {
  const files = job.input.files ?? [];
  if (job.kind === "tts") return { text: short((job.input.text ?? "").replaceAll(/\s+/g, " ").trim()) };
  if (job.kind === "transcripts") {
    return files.length === 1 ? { text: short(files[0].name) } : { key: "title.heap", args: { n: files.length, first: files[0]?.name ?? "" } };
  }
  const name = ownName(job);
  if (job.kind !== "chapter" && /^(chapters|chapter)\.json$/.test(name ?? "")) return { key: `kind.${job.kind}` };
  return name ? { text: short(name) } : { key: `kind.${job.kind}` };
}
