import { expect, test } from 'vitest';

import { slimHar } from './slimHar';

const call = (url: string, mimeType: string, text: string) => ({
  startedDateTime: '2026-01-01',
  request: { method: 'GET', url, headers: [{ name: 'Accept', value: '*/*' }], cookies: [{ name: 'session', value: 's3cret' }] },
  response: { status: 200, headers: [{ name: 'Link', value: '<x>; rel="next"' }], content: { size: text.length, mimeType, text }, cookies: [] },
  timings: { wait: 1 },
});

test('only calls with JSON answers are sent, with what a stream is made of', () => {
  const text = JSON.stringify({
    log: { entries: [call('https://a.example/app.js', 'text/javascript', 'x'.repeat(100_000)), call('https://a.example/v1/things', 'application/vnd.api+json', '[{"id": 12345678901234567890}]')] },
  });
  const slim = slimHar(text);
  expect(slim.length).toBeLessThan(500);
  expect(slim).not.toContain('s3cret');
  const { request, response } = JSON.parse(slim).log.entries[0];
  expect(request).toEqual({ method: 'GET', url: 'https://a.example/v1/things', headers: [{ name: 'Accept', value: '*/*' }] });
  expect(response.headers).toEqual([{ name: 'Link', value: '<x>; rel="next"' }]);
  expect(response.content).toEqual({ mimeType: 'application/vnd.api+json', text: '[{"id": 12345678901234567890}]' });
});

test('what is no HAR file is sent as it is', () => {
  for (const text of ['{', 'null', '{"log": {}}', '[]', '']) expect(slimHar(text)).toBe(text);
});

test('entries without a request or an answer do no harm', () => {
  expect(JSON.parse(slimHar('{"log": {"entries": [{}, {"response": {"content": {"mimeType": "application/json"}}}]}}')).log.entries).toHaveLength(1);
});
