// Lists of much work, a line for each: texts for a batch, or recordings that the server shall fetch.

const HEAD_BYTES = 64 * 1024;

export const isList = (file) => /\.(csv|tsv|jsonl|ndjson)$/i.test(file.name);

// Whether a list is a batch: its lines have names of their own, those of a list of recordings do not.
export async function isBatch(file) {
  const head = (await file.slice(0, HEAD_BYTES).text()).replace(/^\ufeff/, "").trimStart();
  const [first] = head.split(/\r?\n/, 1);
  if (!first.startsWith("{")) return /(^|[,;\t])\s*"?custom_id"?\s*([,;\t]|$)/.test(first);
  return /"custom_id"\s*:/.test(first);
}
