/** A long text as it is: never as HTML. Only its beginning, until one asks for all of it. */
import { Button, CopyButton, Group } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useState } from 'react';

import { t } from '../../text';
import classes from '../builder.module.css';

const VISIBLE = 50_000;

export function LongText({ text, label, copy = false }: { text: string; label: string; copy?: boolean }) {
  const [whole, setWhole] = useState(false);
  const cut = !whole && text.length > VISIBLE;
  return (
    <div>
      <pre className={classes.code} aria-label={label} role="region" tabIndex={0}>
        {cut ? `${text.slice(0, VISIBLE)}…` : text}
      </pre>
      {(copy || cut) && (
        <Group gap="xs" mt={4}>
          {copy && (
            <CopyButton value={text}>
              {({ copied, copy: run }) => (
                <Button size="compact-xs" variant="default" onClick={run} leftSection={copied ? <IconCheck size={13} aria-hidden /> : <IconCopy size={13} aria-hidden />}>
                  {copied ? t('Copied') : t('Copy')}
                </Button>
              )}
            </CopyButton>
          )}
          {cut && (
            <Button size="compact-xs" variant="subtle" onClick={() => setWhole(true)}>
              {t('Show all {count} characters', { count: text.length })}
            </Button>
          )}
        </Group>
      )}
    </div>
  );
}
