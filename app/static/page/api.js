// The HTTP API. Every failure is an ApiError with the server's own code and sentence.

export class ApiError extends Error {
  constructor(status, code, detail, errors = []) {
    super(detail);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }
}

const UNREACHABLE = () => new ApiError(0, "unreachable", "The server cannot be reached.");

function failure(status, text) {
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's own error page.
  }
  if (status === 401) document.dispatchEvent(new CustomEvent("key-needed"));
  return new ApiError(status, body.code || `http_${status}`, body.detail || `HTTP ${status}`, body.errors || []);
}

async function request(method, path, { json, headers = {}, signal } = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, signal, credentials: "same-origin" };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw UNREACHABLE();
  }
  if (!answer.ok) throw failure(answer.status, await answer.text());
  return answer.status === 204 ? null : answer.json();
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, json, options) => request("POST", path, { json, ...options });
export const remove = (path) => request("DELETE", path);

// A repeated submit (a nervous click, a lost answer) must not make a second job.
export function submitKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export const submit = (path, json) => post(path, json, { headers: { "Idempotency-Key": submitKey() } });

// Sends a form with files; fetch cannot tell how much has gone up yet, XMLHttpRequest can.
export function upload(path, form, onProgress) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", path);
    sending.setRequestHeader("Accept", "application/json");
    sending.setRequestHeader("Idempotency-Key", submitKey());
    sending.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    sending.addEventListener("error", () => reject(UNREACHABLE()));
    sending.addEventListener("load", () => {
      if (sending.status >= 200 && sending.status < 300) resolve(JSON.parse(sending.responseText));
      else reject(failure(sending.status, sending.responseText));
    });
    sending.send(form);
  });
}

export async function text(url) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin" });
  } catch {
    throw UNREACHABLE();
  }
  if (!answer.ok) throw failure(answer.status, await answer.text());
  return answer.text();
}

// Waits for a job's end; each question waits on the server for up to 30 s.
export async function ended(id, { signal } = {}) {
  for (;;) {
    const job = await get(`/v1/jobs/${id}?wait=30`, { signal });
    if (["succeeded", "failed", "canceled"].includes(job.status)) return job;
  }
}
