/** An answer while it comes: its passages, the parts of its text, and in the end what it is made of. */
import type { AnswerPassage, AnswerRead } from '../api/schema.gen';
import type { ServerEvent } from '../api/events';

/** A question with its answer. `answer` is null until the answer is whole. */
export interface Turn {
  question: string;
  passages: readonly AnswerPassage[];
  text: string;
  answer: AnswerRead | null;
  error: unknown;
  running: boolean;
}

export function newTurn(question: string): Turn {
  return { question, passages: [], text: '', answer: null, error: null, running: true };
}

/** The turn after an event. */
export function withEvent(turn: Turn, event: ServerEvent): Turn {
  switch (event.event) {
    case 'passages':
      return { ...turn, passages: event.passages as AnswerPassage[] };
    case 'text':
      return { ...turn, text: turn.text + String(event.text) };
    case 'answer': {
      const { event: _, ...answer } = event;
      const read = answer as unknown as AnswerRead;
      return { ...turn, answer: read, text: read.text, passages: read.passages };
    }
    default:
      return turn;
  }
}

/** The earlier turns, as the server takes them: an answer that broke off is none. */
export function historyOf(turns: readonly Turn[]): { question: string; answer: string }[] {
  return turns.flatMap(({ question, answer }) => (answer ? [{ question, answer: answer.text }] : [])).slice(-6);
}

/** The text of an answer, and the numbers that it cites, in order. */
export function partsOf(text: string, count: number): (string | number)[] {
  return text
    .split(/(\[\d{1,4}\])/)
    .filter((part) => part !== '')
    .map((part) => {
      const number = /^\[(\d+)\]$/.exec(part)?.[1];
      return number !== undefined && Number(number) >= 1 && Number(number) <= count ? Number(number) : part;
    });
}
