import { expect, it } from 'vitest';

import type { Proposal } from './projects';
import { left, tickedAtFirst, toggled } from './ticks';

const offer = (title: string, path: Proposal['path'], warning = ''): Proposal => ({ what: 'pagination', title, evidence: '', path, value: title, confidence: 'proven', also: [], warning });

const large = offer('50 each', ['streams', 0, 'retriever', 'paginator']);
const usual = offer('as it is', ['streams', 0, 'retriever', 'paginator']);
const key = offer('key', ['streams', 0, 'primary_key']);
const risky = offer('cursor', ['streams', 0, 'incremental_sync'], 'opened_on does not move: changes would be missed.');

it('ticks the best of each place, and nothing that warns', () => {
  expect(tickedAtFirst([large, usual, key, risky])).toEqual([large, key]);
});

it('keeps one value of a place', () => {
  expect(left([large, usual, key, risky], [large, key])).toEqual([risky]);
  expect(toggled([large, key], usual, true)).toEqual([key, usual]);
  expect(toggled([large, key], risky, true)).toEqual([large, key, risky]);
  expect(toggled([large, key], key, false)).toEqual([large]);
});
