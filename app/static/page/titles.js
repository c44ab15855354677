// What a job is called in the list: words of its own where it has some.

const MOST = 90; // characters
const MOST_NAMED = 100; // uploads

const short = (text) => (text.length > MOST ? `${text.slice(0, MOST)}…` : text);
const ownName = (job) => job.input.title || job.metadata?.path || job.input.files?.[0]?.name || job.input.url;

export function titleOf(job) {
  const files = job.input.files ?? [];
  if (job.kind === "tts") return { text: short((job.input.text ?? "").replaceAll(/\s+/g, " ").trim()) };
  if (job.kind === "transcripts") {
    // A job names a hundred of its uploads at most, and none that a list names.
    if (!files.length) return { key: "title.list" };
    const n = files.length < MOST_NAMED ? files.length : Math.max(files.length, job.children?.total ?? 0);
    return n === 1 ? { text: short(files[0].name) } : { key: "title.heap", args: { n, first: files[0].name } };
  }
  const name = ownName(job);
  if (job.kind !== "chapter" && /^(chapters|chapter)\.json$/.test(name ?? "")) return { key: `kind.${job.kind}` };
  return name ? { text: short(name) } : { key: `kind.${job.kind}` };
}
