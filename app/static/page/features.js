// What this server can do, from its own description: buttons for anything else are not shown.

import { get } from "./api.js";

let asked = null;

export function features() {
  asked ??= get("/openapi.json").then(
    ({ paths }) => ({
      books: "/v1/audiobooks" in paths,
      heaps: "/v1/transcripts" in paths,
      streams: "/v1/jobs/{id}/stream" in paths,
      inputs: "/v1/jobs/{id}/inputs/{name}" in paths,
    }),
    () => {
      asked = null;
      return { books: false, heaps: false, streams: false, inputs: false };
    },
  );
  return asked;
}
