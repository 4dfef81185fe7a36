/** Ctrl-K: go to a page, a connection, a source or a destination, or do something, by typing a part of its name. */
import { Modal, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react';

import { useFocusBack } from '../shell/useFocusBack';
import { t } from '../text';
import { matching } from './entries';
import styles from './Palette.module.css';
import { useEntries } from './useEntries';

export function Palette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  useFocusBack();
  const [text, setText] = useState('');
  const [position, setPosition] = useState(0);
  const [searched] = useDebouncedValue(text.trim(), 150);
  const entries = useEntries(searched, onHelp);
  const results = useMemo(() => matching(entries, text), [entries, text]);
  const active = Math.min(position, results.length - 1);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [active, results]);

  function choose(index: number) {
    onClose();
    results[index]?.run();
  }

  function onKeyDown(event: KeyboardEvent) {
    const last = results.length - 1;
    const moves: Record<string, number> = { ArrowDown: active >= last ? 0 : active + 1, ArrowUp: active <= 0 ? last : active - 1, Home: 0, End: last };
    const next = moves[event.key];
    if (next !== undefined) setPosition(next);
    else if (event.key === 'Enter') choose(active);
    else return;
    event.preventDefault();
  }

  return (
    <Modal opened onClose={onClose} withCloseButton={false} size="lg" padding={0} yOffset="12vh" aria-label={t('Jump to …')}>
      <TextInput
        variant="unstyled"
        size="md"
        px="md"
        py={4}
        autoFocus
        data-autofocus
        leftSection={<IconSearch size={18} aria-hidden />}
        leftSectionWidth={30}
        placeholder={t('Page, connection, source, destination or action')}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setPosition(0);
        }}
        onKeyDown={onKeyDown}
        role="combobox"
        aria-label={t('Jump to …')}
        aria-expanded
        aria-controls="palette-results"
        aria-activedescendant={results[active] && `palette-${results[active].id}`}
        autoComplete="off"
        spellCheck={false}
      />
      <div id="palette-results" ref={list} role="listbox" aria-label={t('Results')} className={styles.results}>
        {results.map((entry, index) => (
          <div key={entry.id} role="presentation">
            {results[index - 1]?.group !== entry.group && (
              <div className={styles.group} role="presentation">
                {entry.group}
              </div>
            )}
            <div
              id={`palette-${entry.id}`}
              role="option"
              aria-selected={index === active}
              className={styles.entry}
              onMouseMove={() => setPosition(index)}
              onClick={() => choose(index)}
            >
              <span className={styles.label}>{entry.label}</span>
              {entry.note && <span className={styles.note}>{entry.note}</span>}
            </div>
          </div>
        ))}
      </div>
      {results.length === 0 && (
        <Text size="sm" c="dimmed" p="md" role="status">
          {t('No matches.')}
        </Text>
      )}
    </Modal>
  );
}
