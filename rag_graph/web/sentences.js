/** What is going on in a run, and what became of it, in words for people. */

import { isRunning, newest, passagesByNumber, standing, written } from "./transcript.js";

/** A server with a free place begins sooner; else it says nothing, nor how many come first, until there is one. */
const LONG_MS = 2_500;

export function counted(number, noun, plural = `${noun}s`) {
  return `${number} ${number === 1 ? noun : plural}`;
}

export function seconds(ms) {
  const value = ms / 1000;
  if (value < 0.0995) return `${Math.round(ms)} ms`;
  return value < 9.95 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

/** The line under the question while the run goes on. */
export function progressOf(transcript, { isImproving = false, waitedMs = 0, ahead = null } = {}) {
  if (!transcript.steps.length && transcript.runId) return "Getting started…";
  if (!transcript.steps.length && ahead !== null) return lineBefore(ahead);
  if (!transcript.steps.length) return waitedMs < LONG_MS ? "Sending your question…" : "Waiting for the server to begin; other questions may come first…";
  const open = transcript.steps.filter(({ finishedMs }) => finishedMs === null);
  const thinking = transcript.thinking.some(({ seconds: took, thinker }) => took === null && thinker === "model");
  if (isImproving) return improving(newest(transcript) > 1 ? written(transcript, newest(transcript)).content : "");
  if (!open.length) return `${transcript.steps.at(-1).outcome || "Going on"}…`;
  const doing = open.map(({ description }) => description).map((words, index) => (index ? lower(words) : words));
  return `${doing.join(", ")}${thinking ? " and thinking" : ""}…`;
}

/** How many questions of the line come first. */
export function lineBefore(ahead) {
  if (!ahead) return "Waiting in line: your question is next…";
  return `Waiting in line: ${counted(ahead, "question")} ${ahead === 1 ? "is" : "are"} before yours…`;
}

function improving(content) {
  const words = content.match(/\S+/g)?.length ?? 0;
  return `Improving the answer…${words ? ` ${counted(words, "word")} so far` : ""}`;
}

function lower(words) {
  return words.charAt(0).toLowerCase() + words.slice(1);
}

/** The heading above the answer's text. */
export function labelOf(transcript, shown) {
  if (transcript.terminal?.type === "run_failed") return "Unfinished answer";
  if (transcript.terminal?.type === "run_cancelled") return "Stopped answer";
  if (shown > 1) return written(transcript, shown).finished ? "Improved answer" : "Being improved";
  const { decision } = transcript;
  if (isRunning(transcript)) return decision?.decision === "keep" ? "The first answer stands" : "First answer";
  return decision ? "The first answer stands" : "Answer";
}

/** The verdict on the draft as `{ title, reason }`, or null until there is one. */
export function verdictOf(transcript) {
  const { decision } = transcript;
  if (!decision) return null;
  const reason = stop(upper(decision.reason));
  if (decision.decision === "keep") return { title: "Why it stands", reason };
  if (standing(transcript) > 1) return { title: "Improved", reason };
  return isRunning(transcript) ? null : { title: "Why it stands", reason: "The improvement could not be written." };
}

/** What a first answer is, while deeper reading goes on. */
export const DRAFT_NOTICE = {
  title: "Written from the first passages.",
  reason: "Deeper reading goes on beside it and may still change it.",
};

/** Why a draft is being written anew, while it is. */
export function improvementOf({ decision }) {
  const added = decision.new_passages.length;
  const basis = added ? ` with ${counted(added, "new passage")}` : "";
  return { title: `Improving this answer${basis}`, reason: stop(upper(decision.reason)) };
}

/** What the run took, once it is over. */
export function summaryOf(transcript) {
  const { terminal } = transcript;
  if (terminal?.type !== "run_finished") return terminal?.type === "run_cancelled" ? "Stopped" : "Not answered";
  const timings = terminal.timings ?? {};
  const total = timings.total_ms;
  const documents = new Set([...passagesByNumber(transcript).values()].map(({ document }) => document)).size;
  const parts = [];
  if (total) parts.push(`Answered in ${seconds(total)}`);
  if (timings.first_token_ms) parts.push(`first words after ${seconds(timings.first_token_ms)}`);
  if (documents) parts.push(`${counted(passagesByNumber(transcript).size, "passage")} from ${counted(documents, "document")}`);
  return parts.join(" · ") || "Answered";
}

/** What an error means and what to do, for one that ended the run or kept it from starting. */
export function problemOf(problem) {
  const message = stop(problem.message || "Something went wrong");
  const wait = problem.retryAfterMs ? ` You can ask again in ${seconds(problem.retryAfterMs).replace(".0", "")}.` : "";
  const advice = problem.retryable && !wait && !/again|retry/i.test(message) ? " Ask again in a moment." : "";
  return message + wait + advice;
}

export function stoppedBy({ by }) {
  return {
    client: "You stopped this answer.",
    absence: "This answer was stopped because nobody was reading it.",
    shutdown: "The server was restarted before the answer was complete. Ask again to have it written in full.",
    budget: "This answer was stopped because it reached the limit set for one question.",
  }[by];
}

function stop(words) {
  return /[.!?…]$/.test(words) ? words : `${words}.`;
}

function upper(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
