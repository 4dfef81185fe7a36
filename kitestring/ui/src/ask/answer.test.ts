import { expect, test } from 'vitest';

import type { AnswerPassage, AnswerRead } from '../api/schema.gen';
import { historyOf, newTurn, partsOf, withEvent } from './answer';

const passage: AnswerPassage = { number: 1, text: 'x', stream: 's', recordId: 'r', chunkId: 'c', title: '', url: '', distance: null, score: 1, highlights: [] };
const answer: AnswerRead = { question: 'q', text: 'a [1]', answered: true, passages: [passage], citations: [1], notes: [], model: 'm', inputTokens: 1, outputTokens: 1, costUsd: null };

test('an answer grows with its events, and is whole only with the last', () => {
  let turn = withEvent(newTurn('q'), { event: 'passages', passages: [passage], notes: [] });
  for (const text of ['a', ' [1']) turn = withEvent(turn, { event: 'text', text });
  expect([turn.text, turn.passages.length, turn.answer]).toEqual(['a [1', 1, null]);
  expect(historyOf([turn])).toEqual([]);
  turn = withEvent(turn, { event: 'answer', ...answer });
  expect([turn.text, turn.answer]).toEqual(['a [1]', answer]);
  expect(historyOf([turn])).toEqual([{ question: 'q', answer: 'a [1]' }]);
});

test('citations are the numbers of passages, and nothing else', () => {
  expect(partsOf('It is [1][2], not [9] or [x].', 2)).toEqual(['It is ', 1, 2, ', not ', '[9]', ' or [x].']);
});
