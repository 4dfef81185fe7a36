/** Every text of the interface goes through `t()` or `plural()`: what is written into the markup cannot be translated. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const SOURCES = import.meta.dirname;

/** Attributes and properties whose value people read or hear. */
const SPOKEN = /^(aria-label|aria-description|alt|title|label|placeholder|description|nothingFoundMessage|hint|note|message|summary)$/;

/** What is the same in every language: names, addresses, and what is typed as it is. */
const SAME = [/^(Kitestring|Airbyte|YAML|JSON|Python|curl|UTC|Ctrl K|KITESTRING_)$/, /^\S+(:\/\/|@)\S+$/, /^status=new$/, /^airflow$/];

/** Said by a worker, which has no catalogue, among the sentences of the YAML parser, which are English. */
const OF_WORKERS = [/^The text is nested too deeply$/];

/** Titles of inputs that a consent adds: a part of the manifest, which people of all languages share. */
const OF_MANIFESTS = [/^(Expiry of the access|Access|Refresh) token$/i];

interface Untranslated {
  place: string;
  text: string;
}

/** The texts of a file that no call of `t` or `plural` gets. */
function untranslated(path: string, source: string): Untranslated[] {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true, path.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS);
  const texts: Untranslated[] = [];
  const note = (node: ts.Node, text: string) => {
    const words = text.replace(/\s+/g, ' ').trim();
    if (/\p{L}{2}/u.test(words) && ![...SAME, ...OF_WORKERS, ...OF_MANIFESTS].some((pattern) => pattern.test(words)))
      texts.push({ place: `${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`, text: words });
  };
  /** The literals that can become the value of an expression. */
  const values = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) note(node, node.text);
    else if (ts.isTemplateExpression(node)) note(node, [node.head.text, ...node.templateSpans.map((span) => span.literal.text)].join(' '));
    else if (ts.isConditionalExpression(node)) [node.whenTrue, node.whenFalse].forEach(values);
    else if (ts.isParenthesizedExpression(node)) values(node.expression);
    else if (ts.isBinaryExpression(node) && ['&&', '||', '??', '+'].includes(node.operatorToken.getText()))
      (node.operatorToken.getText() === '&&' ? [node.right] : [node.left, node.right]).forEach(values);
  };
  const walk = (node: ts.Node): void => {
    if (ts.isJsxText(node)) note(node, node.text);
    else if (ts.isJsxExpression(node) && node.expression && !ts.isJsxAttribute(node.parent)) values(node.expression);
    else if (ts.isJsxAttribute(node) && SPOKEN.test(node.name.getText()) && node.initializer)
      values(ts.isJsxExpression(node.initializer) ? (node.initializer.expression ?? node.initializer) : node.initializer);
    else if (ts.isPropertyAssignment(node) && SPOKEN.test(node.name.getText().replace(/^['"]|['"]$/g, ''))) values(node.initializer);
    else if (ts.isCallExpression(node) && /^(notifySuccess|notifyError)$/.test(node.expression.getText())) node.arguments.forEach(values);
    ts.forEachChild(node, walk);
  };
  walk(file);
  return texts;
}

function files(): string[] {
  return readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((path) => /\.tsx?$/.test(path) && !/(\.test|\.gen)\.ts$/.test(path));
}

test('every text of the interface can be translated', () => {
  const missing = files().flatMap((path) => untranslated(path, readFileSync(join(SOURCES, path), 'utf8')));
  expect(missing.map(({ place, text }) => `${place} ${text}`)).toEqual([]);
}, 60_000);

test('a text in the markup, in an attribute, in a choice and in a list of choices is found', () => {
  const source = `
    const roles = [{ value: 'reader', label: 'Reader' }];
    const page = <Page title="Users" size="lg" note={many ? 'Several' : t('None')}>
      Add a user {open && 'Now'} {t('Save')} {\`\${count} rows\`}
    </Page>`;
  const texts = untranslated('page.tsx', source).map(({ text }) => text);
  expect(texts.sort()).toEqual(['Add a user', 'Now', 'Reader', 'Several', 'Users', 'rows']);
});
