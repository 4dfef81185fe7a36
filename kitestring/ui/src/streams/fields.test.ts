import { describe, expect, it } from 'vitest';

import type { FieldRead } from '../api/schema.gen';
import { matching, selectedPart, treeOf, valueAt, withField } from './fields';

const field = (...path: string[]): FieldRead => ({ path, types: ['string'], format: '', nullable: false, description: '' });
const tree = treeOf([field('id'), field('user'), field('user', 'name'), field('user', 'email'), field('body')]);
const config = { name: 's', syncMode: 'full_refresh_overwrite' };
const paths = (changed: { selectedFields?: { fieldPath: string[] }[] }) => changed.selectedFields?.map((field) => field.fieldPath.join('.'));

describe('the fields of a stream', () => {
  it('are all copied without a choice, and a nested one can be left out', () => {
    expect(selectedPart(config, ['user', 'name'])).toBe('all');
    const without = withField(config, tree, ['user', 'email'], false);
    expect(paths(without)).toEqual(['id', 'user.name', 'body']);
    expect(selectedPart(without, ['user'])).toBe('some');
    expect(selectedPart(without, ['user', 'email'])).toBe('none');
  });

  it('need no choice once all are chosen again, so that new ones come along', () => {
    const without = withField(config, tree, ['user', 'email'], false);
    expect(withField(without, tree, ['user', 'email'], true).selectedFields).toBeUndefined();
    expect(paths(withField(without, tree, ['user'], false))).toEqual(['id', 'body']);
    expect(paths(withField({ ...config, selectedFields: [{ fieldPath: ['id'] }] }, tree, ['user'], true))).toEqual(['id', 'user']);
  });

  it('are found by their path, with their parents, and read from a record', () => {
    expect(matching(tree, ['email']).map((node) => [node.name, node.children.length])).toEqual([['user', 1]]);
    expect(valueAt({ user: { name: 'Ana' } }, ['user', 'name'])).toBe('Ana');
    expect(valueAt({ user: null }, ['user', 'name'])).toBeUndefined();
  });
});
