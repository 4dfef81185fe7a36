import { expect, test } from 'vitest';

import { besideForm, blockOf, parseMarkdown } from './markdown';

const PAGE = `# Acme

Tickets of Acme,
and more.

\`\`\`yaml
subdomain: acme
# no heading
\`\`\`

## Credentials

| \`mode\` | for |
|---|---|
| \`a|b\` | programs |

1. Open **Admin Center**,
   then *Apps*.
2. Save.

- \`start_date\`: the first day
`;

test('a page becomes blocks, and nothing of it HTML', () => {
  expect(parseMarkdown(PAGE)).toEqual([
    { kind: 'heading', level: 1, text: 'Acme' },
    { kind: 'paragraph', text: 'Tickets of Acme, and more.' },
    { kind: 'code', text: 'subdomain: acme\n# no heading' },
    { kind: 'heading', level: 2, text: 'Credentials' },
    { kind: 'table', head: ['`mode`', 'for'], rows: [['`a|b`', 'programs']] },
    { kind: 'list', ordered: true, items: ['Open **Admin Center**, then *Apps*.', 'Save.'] },
    { kind: 'list', ordered: false, items: ['`start_date`: the first day'] },
  ]);
  expect(parseMarkdown('<script>alert(1)</script>')).toEqual([{ kind: 'paragraph', text: '<script>alert(1)</script>' }]);
});

test('the block of a field is its heading, else where it is named', () => {
  const blocks = parseMarkdown(PAGE);
  expect([blockOf(blocks, 'credentials'), blockOf(blocks, 'start_date'), blockOf(blocks, 'nothing')]).toEqual([3, 6, -1]);
});

test('beside a form a page says nothing of installing, commands and project files', () => {
  const page = 'Writes chunks. Install: `pip install \'kitestring[milvus]\'`. All modes.\n\n```console\n$ kitestring check\n```\n\nA manifest: `kitestring/sources/manifests/a.yaml`.\n\n```text\nkept\n```\n';
  expect(besideForm(parseMarkdown(page))).toEqual([
    { kind: 'paragraph', text: 'Writes chunks. All modes.' },
    { kind: 'code', text: 'kept' },
  ]);
});
