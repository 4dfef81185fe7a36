/** What the server noted while it made a manifest; many notes are folded. */
import { Alert, Button, List } from '@mantine/core';
import { useState } from 'react';

import { plural, t } from '../text';

const FEW = 3;

export function Notes({ notes, drop }: { notes: readonly string[]; drop: () => void }) {
  const [whole, setWhole] = useState(false);
  if (notes.length === 0) return null;
  return (
    <Alert color="kite" variant="light" title={t('What was noted on the way')} withCloseButton closeButtonLabel={t('Close')} onClose={drop}>
      <List size="sm" style={{ color: 'var(--mantine-color-text)' }}>
        {(whole ? notes : notes.slice(0, FEW)).map((note) => (
          <List.Item key={note}>{note}</List.Item>
        ))}
      </List>
      {notes.length > FEW && (
        <Button size="compact-sm" variant="subtle" mt={4} onClick={() => setWhole(!whole)} aria-expanded={whole}>
          {whole ? t('Show fewer') : plural(notes.length - FEW, '{count} more', '{count} more')}
        </Button>
      )}
    </Alert>
  );
}
