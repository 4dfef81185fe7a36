/** What the special forms write. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { type Doc, parse, type Splice, spliced } from '../document/document';
import { authenticated, authenticatedLike, authentications } from './authentications';
import { hasPkce, withConsent, withPkce } from './consent';
import { inFormWords } from './context';
import { inputNames, inputsOf, inputsOnlyAt, newInput, orderedInputs, removedInput, renamedInput, unreadInputs, withInputs } from './inputs';
import { paginationKind, PAGINATIONS } from './paginations';
import { parentRouter, parents, usesPartition, withParent } from './PartitionFields';
import { renamedStream } from './streamNames';

const after = (doc: Doc, splices: Splice[]) => parse(spliced(doc.text, splices));
const BEARER = { type: 'BearerAuthenticator', api_token: "{{ config['api_key'] }}" };

const SHARED = `definitions:
  requester:
    type: HttpRequester
    url_base: https://a # base
streams:
  - {type: DeclarativeStream, name: a, retriever: {type: SimpleRetriever, requester: {$ref: "#/definitions/requester", path: /a}}}
  - type: DeclarativeStream
    name: b
    retriever:
      type: SimpleRetriever
      requester:
        $ref: "#/definitions/requester"
        path: /b
`;
const OWN = `version: 6.0.0
streams:
  - type: DeclarativeStream
    name: a
    retriever:
      type: SimpleRetriever
      requester: {type: HttpRequester, url: https://a/a}
  - type: DeclarativeStream
    name: b
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url: https://a/b`;

describe('authentication', () => {
  it.each([SHARED, OWN, OWN + '\n'])('is written once for all streams, with its input', (text) => {
    const doc = parse(text);
    const [bare, ...others] = authentications(doc);
    expect(others).toEqual([]);
    expect(bare).toMatchObject({ path: undefined, streams: ['a', 'b'] });
    const next = after(doc, authenticated(doc, bare!.requesters, BEARER));
    expect(next.problems, next.text).toEqual([]);
    expect(authentications(next)).toMatchObject([{ streams: ['a', 'b'], path: [...(text === SHARED ? ['definitions', 'requester'] : ['definitions']), 'authenticator'] }]);
    for (const stream of [0, 1]) expect(next.get(['streams', stream, 'retriever', 'requester', 'authenticator', 'api_token'])).toBe(BEARER.api_token);
    expect(next.get(['spec', 'connection_specification'])).toMatchObject({ required: ['api_key'], properties: { api_key: { type: 'string', airbyte_secret: true } } });
    expect(next.text.match(/BearerAuthenticator/g)).toHaveLength(1);
    if (text === SHARED) expect(next.text).toContain('url_base: https://a # base');
  });

  it('of some streams is given to the others', () => {
    const text = OWN.replace('https://a/a}', 'https://a/a, authenticator: {type: BearerAuthenticator, api_token: x}}');
    const doc = parse(text);
    const places = authentications(doc);
    const bare = places.find((place) => !place.path)!;
    const next = after(doc, authenticatedLike(doc, bare.requesters, places.find((place) => place.path)!.path!));
    expect(next.get(['streams', 1, 'retriever', 'requester', 'authenticator', 'api_token'])).toBe('x');
    expect(authentications(next).every((place) => place.path)).toBe(true);
  });
});

describe('consent', () => {
  const CONSENTED = readFileSync('../../tests/golden/builder_consent.yaml', 'utf-8');
  const whole = parse(CONSENTED);
  const at = authentications(whole)[0]!.path!;
  const properties = ['spec', 'connection_specification', 'properties'];
  const bare = () => {
    const paths = [['spec', 'advanced_auth'], [...at, 'refresh_token_updater'], [...properties, 'oauth_access_token'], [...properties, 'oauth_token_expiry_date']];
    return paths.reduce((doc, path) => after(doc, doc.remove(path)), whole);
  };

  it('keeps the tokens that a vendor answers a refresh with', () => {
    const doc = bare();
    expect(doc.text).not.toMatch(/updater|consent|oauth_/);
    expect(after(doc, withConsent(doc)).text).toBe(CONSENTED);
    expect(unreadInputs(whole)).toEqual([]);
  });

  it('is with PKCE or without, and nothing else changes', () => {
    expect(hasPkce(whole)).toBe(false);
    const used = after(whole, withPkce(whole, true));
    expect(hasPkce(used)).toBe(true);
    // tests/unit/server/test_draft_consent.py signs in with this text.
    const challenge = 'state={{state_value}}&code_challenge={{state_value | codeChallengeS256}}&code_challenge_method=S256\n';
    const verifier = '          redirect_uri: "{{ redirect_uri_value }}"\n          code_verifier: "{{ state_value }}"\n';
    expect(used.text).toBe(CONSENTED.replace('state={{state_value}}\n', challenge).replace('          redirect_uri: "{{ redirect_uri_value }}"\n', verifier));
    expect(after(used, withPkce(used, true)).text).toBe(used.text);
    expect(after(used, withPkce(used, false)).text).toBe(CONSENTED);
    const first = parse(CONSENTED.replace('authorize?', 'authorize?code_challenge_method=S256&code_challenge={{ state_value | codeChallengeS256 }}&'));
    expect(after(first, withPkce(first, false)).text).toBe(CONSENTED);
  });

  it('uses the inputs that the authenticator has', () => {
    const text = bare().text.replace("config['client_refresh_token']", "config['login']['renewal']").replace("config['client_id']", "config['app']");
    const next = after(parse(text), withConsent(parse(text)));
    expect(next.problems, next.text).toEqual([]);
    expect(next.get([...at, 'refresh_token_updater', 'refresh_token_config_path'])).toEqual(['login', 'renewal']);
    const flow = ['spec', 'advanced_auth', 'oauth_config_specification'];
    expect(next.get([...flow, 'complete_oauth_output_specification', 'properties', 'refresh_token', 'path_in_connector_config'])).toEqual(['login', 'renewal']);
    expect(next.get([...flow, 'complete_oauth_server_output_specification', 'properties', 'client_id', 'path_in_connector_config'])).toEqual(['app']);
  });

  it.each([
    ['of client credentials has no refresh token', '$1$2grant_type: client_credentials\n', ['client_refresh_token']],
    ['that keeps them already is left as it is', '$1$2refresh_token_updater: {}\n', ['credentials', 'refresh_token']],
  ])('an authenticator %s', (_, change, place) => {
    const doc = parse(bare().text.replace(/(( +)token_refresh_endpoint: .*\n)/, change));
    const next = after(doc, withConsent(doc));
    expect(next.get(at)).toEqual(doc.get(at));
    const token = next.get(['spec', 'advanced_auth', 'oauth_config_specification', 'complete_oauth_output_specification', 'properties', 'refresh_token']);
    expect(token).toMatchObject({ path_in_connector_config: place });
  });
});

describe('inputs', () => {
  const doc = parse(`streams:
  - path: "/{{ config['shop'] }}/{{ config.shop }}" # why
    other: "{{ config.get('since') or config['credentials']['token'] }}"
spec:
  type: Spec
  connection_specification:
    type: object
    required: [shop]
    properties:
      shop: {type: string, order: 1} # the shop
      since: {type: string, order: 0}
`);

  it('are those that templates read', () => {
    expect(inputsOf(doc.get(['streams']))).toEqual(['shop', 'since', 'credentials']);
    expect(inputNames(doc)).toEqual(['since', 'shop']);
  });

  it('are added once, secrets marked', () => {
    const next = after(doc, withInputs(doc, ['shop', 'api_key']));
    expect(next.get(['spec', 'connection_specification', 'required'])).toEqual(['shop', 'api_key']);
    expect(next.get(['spec', 'connection_specification', 'properties', 'api_key', 'airbyte_secret'])).toBe(true);
    expect(next.text).toContain('# the shop');
    expect(withInputs(next, ['shop', 'api_key'])).toEqual([]);
    expect(after(parse(''), withInputs(parse(''), ['a'])).get(['spec', 'connection_specification', 'properties', 'a', 'type'])).toBe('string');
  });

  it('are renamed with the templates that read them', () => {
    const next = after(doc, renamedInput(doc, 'shop', 'store'));
    expect(next.get(['streams', 0, 'path'])).toBe("/{{ config['store'] }}/{{ config.store }}");
    expect(next.get(['spec', 'connection_specification', 'required'])).toEqual(['store']);
    expect(next.text).toContain('# why');
    expect(renamedInput(doc, 'shop', 'since')).toEqual([]);
  });

  it('are renamed in the paths to them', () => {
    const next = after(doc, doc.set(['keeps'], { refresh_token_config_path: ['shop'], value: ['shop'], nested: { path_in_connector_config: ['shop', 'shop'] } }));
    expect(after(next, renamedInput(next, 'shop', 'store')).get(['keeps'])).toEqual({ refresh_token_config_path: ['store'], value: ['shop'], nested: { path_in_connector_config: ['store', 'shop'] } });
  });

  it('that nothing reads are named, those of a choice of authentication not', () => {
    expect(unreadInputs(doc)).toEqual([]);
    const next = parse(`definitions:
  form: {type: object, required: [old_key], properties: {old_key: {type: string}, how: {type: string}, nested: {type: object}}}
streams:
  - authenticator: {type: SelectiveAuthenticator, authenticator_selection_path: [how]}
    path: "{{ config.nested.key }}"
spec: {type: Spec, connection_specification: {$ref: "#/definitions/form"}}
`);
    expect(unreadInputs(next)).toEqual(['old_key']);
    expect(unreadInputs(after(doc, withInputs(doc, ['shopping'])))).toEqual(['shopping']);
    expect(unreadInputs(parse(''))).toEqual([]);
  });

  it('are removed and ordered', () => {
    const next = after(doc, removedInput(doc, 'shop'));
    expect(next.get(['spec', 'connection_specification'])).toEqual({ type: 'object', properties: { since: { type: 'string', order: 0 } } });
    expect(inputNames(after(doc, orderedInputs(doc, ['shop', 'since'])))).toEqual(['shop', 'since']);
  });
});

it('each kind of pagination is recognised as itself', () => {
  for (const [kind, value] of Object.entries(PAGINATIONS)) {
    const doc = after(parse('a: 1\n'), parse('a: 1\n').set(['paginator'], value));
    expect(paginationKind((...keys) => doc.get(['paginator', ...keys]))).toBe(kind);
  }
  expect(paginationKind(() => undefined)).toBe('none');
});

it('a parent is referred to by its definition, or by its place', () => {
  const doc = parse('definitions:\n  users: {name: users}\nstreams:\n  - "#/definitions/users"\n  - {name: groups, primary_key: [group_no]}\n  - {name: mine}\n');
  expect(parents(doc, ['streams', 2])).toEqual([
    { name: 'users', reference: '#/definitions/users', key: 'id' },
    { name: 'groups', reference: '#/streams/1', key: 'group_no' },
  ]);
  expect(parentRouter({ name: 'companies', reference: '#/x', key: 'company_no' })).toMatchObject({ parent_stream_configs: [{ parent_key: 'company_no', partition_field: 'company_no' }] });
});

it('another parent brings its key and the name of its value, unless these were chosen', () => {
  const [parcels, depots] = [{ name: 'parcels', reference: '#/streams/0', key: 'id' }, { name: 'depots', reference: '#/streams/1', key: 'code' }];
  const proposed = { type: 'ParentStreamConfig', stream: { $ref: '#/streams/0' }, parent_key: 'id', partition_field: 'parcel_id' };
  expect(withParent(proposed, parcels, depots)).toEqual({ ...proposed, stream: { $ref: '#/streams/1' }, parent_key: 'code', partition_field: 'depot_code' });
  expect(withParent({ ...proposed, partition_field: 'mine' }, parcels, depots)).toMatchObject({ parent_key: 'code', partition_field: 'mine' });
});

it('the value of a partition is used by a template with either name of its mapping, or put there by the router', () => {
  expect(usesPartition("/tasks/{{ stream_partition['task_id'] }}", undefined, 'task_id')).toBe(true);
  expect(usesPartition({ path: '{{ stream_slice["task_id"] }}/notes' }, undefined, 'task_id')).toBe(true);
  expect(usesPartition({ path: '{{ stream_slice.task_id }}' }, undefined, 'task_id')).toBe(true);
  expect(usesPartition({ path: '{{ stream_slice.start_time }}' }, undefined, 'task_id')).toBe(false);
  expect(usesPartition({ path: '/notes' }, { request_option: { field_name: 'task' } }, 'task_id')).toBe(true);
  expect(usesPartition(undefined, undefined, 'task_id')).toBe(false);
});

describe('another name of a stream', () => {
  const TEXT = `check: {type: CheckStream, stream_names: [parcels, other]} # first
definitions:
  checks:
    stream_names:
      - parcels # too
    dynamic_streams_check_configs: [{dynamic_stream_name: lists, stream_count: 1}]
streams:
  - name: parcels
    path: parcels
  - name: lockers
    parent: {stream: {$ref: "#/streams/0"}}
dynamic_streams:
  - name: lists
metadata: {autoImportSchema: {parcels: true, lockers: false}}
`;
  const doc = parse(TEXT);

  it('is that of the check, of notes of tools, and of nothing else', () => {
    const next = after(doc, renamedStream(doc, ['streams', 0, 'name'], 'boxes'));
    expect(next.text).toBe(TEXT.replace('[parcels,', '[boxes,').replace('- parcels #', '- boxes #').replace('name: parcels\n', 'name: boxes\n').replace('{parcels: true', '{boxes: true'));
  });

  it('of a template is that of its check', () => {
    const next = after(doc, renamedStream(doc, ['dynamic_streams', 0, 'name'], 'tables'));
    expect(next.text).toBe(TEXT.replaceAll(/name: lists/g, 'name: tables'));
  });

  it('changes the stream alone where two have the name before', () => {
    const twice = parse(TEXT.replace('name: lockers', 'name: parcels'));
    expect(after(twice, renamedStream(twice, ['streams', 0, 'name'], 'boxes')).text).toBe(twice.text.replace('name: parcels\n', 'name: boxes\n'));
  });
});

it('the title of an input writes the usual abbreviations in capitals', () => {
  expect(['api_key', 'base_url', 'account_id', 'paid_until'].map((name) => newInput(name, 0).title)).toEqual(['API key', 'Base URL', 'Account ID', 'Paid until']);
});

it('another kind of authentication takes the inputs away that only the former one read', () => {
  const doc = parse(`streams:
  - retriever: {requester: {path: "/{{ config['team'] }}", authenticator: {type: BearerAuthenticator, api_token: "{{ config['api_key'] }}"}}}
spec:
  connection_specification:
    type: object
    required: [api_key, team]
    properties: {api_key: {type: string}, team: {type: string}}
`);
  const path = ['streams', 0, 'retriever', 'requester', 'authenticator'];
  expect(inputsOnlyAt(doc, path)).toEqual(['api_key']);
  const changed = after(doc, withInputs(doc, ['client_id'], true, inputsOnlyAt(doc, path)));
  expect(changed.get(['spec', 'connection_specification', 'required'])).toEqual(['team', 'client_id']);
  expect(Object.keys(changed.get(['spec', 'connection_specification', 'properties']) as object)).toEqual(['team', 'client_id']);
});

it('a defect names the fields as the form does', () => {
  const component = { fields: { field_name: { type: 'text' }, field_path: { type: 'text', title: 'Path' } } } as never;
  expect(inFormWords('needs either `field_name` or `field_path`. Correct the manifest at this place.', component)).toBe('needs either “Field name” or “Path”.');
  expect(inFormWords('`other` is unknown', component)).toBe('`other` is unknown');
  expect(inFormWords(undefined, component)).toBeUndefined();
});
