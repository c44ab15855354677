// Numbers, times and sizes as people read them.

import { locale, t } from "./i18n.js";

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  const hours = Math.floor(whole / 3600);
  if (hours) parts.unshift(hours);
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : String(part))).join(":");
}

export function spokenTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  return t("time.spoken", { minutes: Math.floor(whole / 60), seconds: whole % 60 });
}

export function length(seconds) {
  if (seconds < 1) return t("length.under");
  if (seconds < 60) return t("length.seconds", { n: Math.round(seconds) });
  if (seconds < 3600) return t("length.minutes", { n: Math.round(seconds / 60) });
  return t("length.hours", { n: number(seconds / 3600, 1) });
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

export function bytes(size) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${number(value, value < 10 && unit ? 1 : 0)} ${units[unit]}`;
}

export function ago(time, now = Date.now()) {
  const seconds = Math.round((now - Date.parse(time)) / 1000);
  if (seconds < 45) return t("ago.now");
  const steps = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const [unit, size] = steps.find(([, length]) => seconds >= length * 0.75) || steps[2];
  return new Intl.RelativeTimeFormat(locale(), { numeric: "always" }).format(-Math.max(1, Math.round(seconds / size)), unit);
}

export function languageName(code) {
  try {
    return new Intl.DisplayNames([locale()], { type: "language" }).of(code);
  } catch {
    return code;
  }
}
