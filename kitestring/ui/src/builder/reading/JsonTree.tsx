/** A JSON value as a tree: opened by and by, long lists in parts, texts as texts. Values can be chosen. */
import { Button, UnstyledButton } from '@mantine/core';
import { IconChevronDown, IconChevronRight } from '@tabler/icons-react';
import { createContext, useContext, useState } from 'react';

import { plural, t } from '../../text';
import classes from '../builder.module.css';

export type JsonPath = (string | number)[];

export interface Use {
  label: string;
  run: () => void;
}

/** What a value of an answer can be used for. */
export type UsesOf = (path: JsonPath, answer: unknown, value: unknown) => Use[];

const PART = 100;
const MAX_TEXT = 400;
const OPEN_TO = 2;

interface Choice {
  answer: unknown;
  uses?: UsesOf;
  chosen: string | null;
  choose: (path: string | null) => void;
}

const ChoiceContext = createContext<Choice>({ answer: undefined, chosen: null, choose: () => undefined });

export function JsonTree({ value, label, uses }: { value: unknown; label: string; uses?: UsesOf }) {
  const [chosen, choose] = useState<string | null>(null);
  return (
    <ChoiceContext value={{ answer: value, uses, chosen, choose }}>
      <div className={classes.scroll} role="region" aria-label={label} tabIndex={0}>
        <ul className={classes.tree}>
          <Node value={value} path={[]} />
        </ul>
      </div>
    </ChoiceContext>
  );
}

function Node({ name, value, path }: { name?: string; value: unknown; path: JsonPath }) {
  const nested = typeof value === 'object' && value !== null;
  const [opened, setOpened] = useState(path.length < OPEN_TO || (path.length === OPEN_TO && path[path.length - 1] === 0));
  const [limit, setLimit] = useState(PART);
  const { answer, uses, chosen, choose } = useContext(ChoiceContext);
  const key = JSON.stringify(path);
  const possible = uses && chosen === key ? uses(path, answer, value) : [];
  const entries: [string | number, unknown][] = !nested ? [] : Array.isArray(value) ? value.map((item, index) => [index, item]) : Object.entries(value);
  const title = name ?? t('Answer');
  return (
    <li>
      <div className={classes.node}>
        {nested ? (
          <UnstyledButton aria-expanded={opened} onClick={() => setOpened(!opened)} aria-label={opened ? t('Close {name}', { name: title }) : t('Open {name}', { name: title })}>
            {opened ? <IconChevronDown size={14} aria-hidden /> : <IconChevronRight size={14} aria-hidden />}
          </UnstyledButton>
        ) : null}
        {name !== undefined && <span>{name}:</span>}
        {uses ? (
          <UnstyledButton className={classes.picked} aria-expanded={chosen === key} onClick={() => choose(chosen === key ? null : key)}>
            <span className={classes.value}>{preview(value)}</span>
          </UnstyledButton>
        ) : (
          <span className={classes.value}>{preview(value)}</span>
        )}
      </div>
      {possible.length > 0 && (
        <div className={classes.uses}>
          {possible.map((use) => (
            <Button
              key={use.label}
              size="compact-sm"
              variant="light"
              onClick={() => {
                use.run();
                choose(null);
              }}
            >
              {use.label}
            </Button>
          ))}
        </div>
      )}
      {nested && opened && (
        <ul className={classes.tree}>
          {entries.slice(0, limit).map(([entry, item]) => (
            <Node key={entry} name={String(entry)} value={item} path={[...path, entry]} />
          ))}
          {entries.length > limit && (
            <li>
              <Button size="compact-xs" variant="subtle" onClick={() => setLimit(limit + 5 * PART)}>
                {plural(entries.length - limit, '{count} more', '{count} more')}
              </Button>
            </li>
          )}
        </ul>
      )}
    </li>
  );
}

function preview(value: unknown): string {
  if (Array.isArray(value)) return plural(value.length, '[{count} item]', '[{count} items]');
  if (typeof value === 'object' && value !== null) return plural(Object.keys(value).length, '{{count} field}', '{{count} fields}');
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
