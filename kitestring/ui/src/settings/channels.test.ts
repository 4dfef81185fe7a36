import { expect, test } from 'vitest';

import { channelOf, type Stored, withChannel } from './channels';

const slack = (url: string, enabled = true) => ({ webhook: { enabled, url } });

test('a channel has one address and the events that are switched on', () => {
  const notifications: Stored = { failure: slack('https://a'), suspicious: slack('https://a'), success: slack('https://a', false) };
  expect(channelOf(notifications, 'webhook')).toEqual({ way: 'webhook', address: 'https://a', events: ['failure', 'suspicious', 'replicationSlot'], differing: [] });
  expect(channelOf(notifications, 'email')).toEqual({ way: 'email', address: '', events: [], differing: [] });
});

test('a suspicious job and a replication slot without channels of their own take those of a failure, and the table says so', () => {
  expect(channelOf({ failure: slack('https://a') }, 'webhook').events).toEqual(['failure', 'suspicious', 'replicationSlot']);
});

test('a saved channel is written for each event, so that none falls back to another', () => {
  const changed = withChannel({ failure: slack('https://a') }, { way: 'webhook', address: ' https://b ', events: ['failure'], differing: [] });
  expect(changed.failure).toEqual(slack('https://b'));
  expect(changed.suspicious).toEqual(slack('https://b', false));
  expect(changed.syncDisabled).toEqual(slack('https://b', false));
});

test('what other ways have stays, and an event keeps an address of its own', () => {
  const notifications: Stored = {
    failure: { ...slack('https://a'), email: { enabled: true, to: ['ops@example.com'] } },
    suspicious: slack('https://a'),
    success: slack('https://other'),
  };
  const channel = channelOf(notifications, 'webhook');
  expect(channel.differing).toEqual(['success']);
  const changed = withChannel(notifications, { ...channel, address: 'https://new' });
  expect(changed.failure).toEqual({ ...slack('https://new'), email: { enabled: true, to: ['ops@example.com'] } });
  expect(changed.success).toEqual(slack('https://other'));
  expect(withChannel(notifications, { ...channel, events: ['failure'] }).success).toEqual(slack('https://a', false));
});

test('e-mail takes several addresses, or none for all users', () => {
  const changed = withChannel({}, { way: 'email', address: 'a@example.com, b@example.com', events: ['failure'], differing: [] });
  expect(changed.failure).toEqual({ email: { enabled: true, to: ['a@example.com', 'b@example.com'] } });
  expect(withChannel({}, { way: 'email', address: '', events: ['failure'], differing: [] }).failure).toEqual({ email: { enabled: true, to: [] } });
});
