/** A text with line numbers, in which errors are marked by line and column. */
import { Alert, Anchor, List } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { type KeyboardEvent, useEffect, useRef } from 'react';

import type { TextProblem } from '../api/schema.gen';
import { plural, t } from '../text';
import classes from './configuration.module.css';

const INDENT = '  ';

interface Props {
  text: string;
  change: (text: string) => void;
  errors: readonly TextProblem[];
}

export function Editor({ text, change, errors }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  const lines = text.split('\n').length;
  const marked = new Set(errors.map((error) => error.line));

  function goTo({ line, column }: Pick<TextProblem, 'line' | 'column'>) {
    const before = text.split('\n').slice(0, Math.max(line - 1, 0));
    const place = before.reduce((length, each) => length + each.length + 1, 0) + Math.max(column - 1, 0);
    area.current?.focus();
    area.current?.setSelectionRange(place, place);
  }

  useEffect(() => {
    if (errors[0]?.line) goTo(errors[0]);
    // Only when other errors come: not while the text is edited.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [errors[0]]);

  /** Enter keeps the indentation. Tab leaves the field, as everywhere. */
  function key(event: KeyboardEvent<HTMLTextAreaElement>) {
    if (event.key !== 'Enter' || event.shiftKey || event.ctrlKey || event.metaKey) return;
    const { selectionStart, selectionEnd } = event.currentTarget;
    const line = text.slice(0, selectionStart).split('\n').pop()!;
    const indent = /^ */.exec(line)![0] + (/:\s*$/.test(line) ? INDENT : '');
    if (!indent) return;
    event.preventDefault();
    change(`${text.slice(0, selectionStart)}\n${indent}${text.slice(selectionEnd)}`);
    requestAnimationFrame(() => area.current?.setSelectionRange(selectionStart + 1 + indent.length, selectionStart + 1 + indent.length));
  }

  return (
    <>
      <div className={classes.editor}>
        <div className={classes.numbers} aria-hidden>
          {Array.from({ length: lines }, (_, index) => (
            <div key={index} data-wrong={marked.has(index + 1) || undefined}>
              {index + 1}
            </div>
          ))}
        </div>
        <textarea
          ref={area}
          className={classes.area}
          aria-label={t('Configuration')}
          aria-invalid={errors.length > 0}
          aria-describedby={errors.length > 0 ? 'configuration-errors' : undefined}
          value={text}
          onChange={(event) => change(event.currentTarget.value)}
          onKeyDown={key}
          rows={lines + 1}
          wrap="off"
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
        />
      </div>
      {errors.length > 0 && (
        <Alert id="configuration-errors" color="red" variant="light" role="alert" icon={<IconAlertTriangle aria-hidden />} title={plural(errors.length, '{count} error', '{count} errors')}>
          <List size="sm" listStyleType="none">
            {errors.map((error) => (
              <List.Item key={`${error.line}:${error.column} ${error.message}`}>
                {error.line > 0 && (
                  <Anchor component="button" type="button" size="sm" mr={6} c="var(--mantine-color-text)" td="underline" onClick={() => goTo(error)}>
                    {t('Line {line}, column {column}', { line: String(error.line), column: String(error.column) })}
                  </Anchor>
                )}
                {error.message}. {error.hint}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
    </>
  );
}
