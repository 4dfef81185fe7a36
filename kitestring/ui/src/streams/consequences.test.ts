import { describe, expect, it } from 'vitest';

import { consequences, isChanged } from './consequences';
import { embeddedProblem } from './embedded';
import { type Choice, type StreamConfig } from './streams';

const users: StreamConfig = { name: 'users', syncMode: 'incremental_deduped_history', cursorField: ['updated_at'], primaryKey: [['id']] };
const choice = (...streams: StreamConfig[]): Choice => new Map(streams.map((stream) => [stream.name, stream]));
const hashed = { type: 'hashing', mapperConfiguration: { targetField: 'email' } };

describe('what saving changed streams causes', () => {
  it('is nothing where nothing differs, whatever the order of the settings', () => {
    const same: StreamConfig = { syncMode: users.syncMode, primaryKey: [['id']], cursorField: ['updated_at'], name: 'users' };
    expect(isChanged(choice(users), choice(same))).toBe(false);
    expect(consequences(choice(users), choice(same), 'Lake')).toEqual([]);
  });

  it('names added and removed streams', () => {
    const after = choice(users, { name: 'orders', syncMode: 'full_refresh_append' });
    expect(isChanged(choice(users), after)).toBe(true);
    expect(consequences(choice(users), after, 'Lake').map((entry) => entry.stream)).toEqual(['orders']);
    expect(consequences(after, choice(users), 'Lake')[0]!.sentence).toContain('Its data in Lake stays');
  });

  it('says that stored records keep their values, unless the next sync replaces them', () => {
    const [entry] = consequences(choice(users), choice({ ...users, mappers: [hashed] }), 'Lake');
    expect(entry).toMatchObject({ stream: 'users', refresh: true });
    expect(entry!.sentence).toContain('email hashed');
    const replaced = { ...users, syncMode: 'full_refresh_overwrite', cursorField: undefined };
    const [other] = consequences(choice(replaced), choice({ ...replaced, mappers: [hashed] }), 'Lake');
    expect(other!.refresh).toBeUndefined();
    expect(other!.sentence).toContain('writes all records again');
  });

  it('names fields that come and go', () => {
    const some = (...names: string[]) => choice({ ...users, selectedFields: names.map((name) => ({ fieldPath: [name] })) });
    const sentences = consequences(some('id', 'name'), some('id', 'email'), 'Lake').map((entry) => entry.sentence);
    expect(sentences[0]).toContain('The field email is added');
    expect(sentences[1]).toContain('The field name is left out');
    expect(consequences(some('id'), choice(users), 'Lake')[0]!.sentence).toContain('All fields are copied');
  });
});

describe('a stream for a vector store', () => {
  const fields = [['id'], ['title'], ['user'], ['user', 'name']];
  const of = (...names: string[]): StreamConfig => ({ ...users, selectedFields: names.map((name) => ({ fieldPath: [name] })) });

  it('needs one of the text fields', () => {
    expect(embeddedProblem(['title', 'body'], fields, of('id', 'title'))).toBe('');
    expect(embeddedProblem(['title', 'body'], fields, of('id'))).toBe('left out');
    expect(embeddedProblem(['body'], fields, users)).toBe('absent');
    expect(embeddedProblem([], fields, of('id'))).toBe('');
    expect(embeddedProblem(undefined, fields, of('id'))).toBe('');
    expect(embeddedProblem(['user.name'], fields, of('user'))).toBe('');
  });

  it('is judged by the names that mappers give', () => {
    const renamed = { type: 'field-renaming', mapperConfiguration: { originalFieldName: 'title', newFieldName: 'heading' } };
    expect(embeddedProblem(['heading'], fields, { ...users, mappers: [renamed] })).toBe('');
    expect(embeddedProblem(['title'], fields, { ...users, mappers: [renamed] })).toBe('left out');
    const without = { type: 'field-filtering', mapperConfiguration: { targetField: 'title' } };
    expect(embeddedProblem(['title'], fields, { ...users, mappers: [without] })).toBe('left out');
  });
});
