/** A part that is written elsewhere: who shares it, and whether an edit is for all of them or for this place alone. */
import { Alert, Group, SegmentedControl, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconLink } from '@tabler/icons-react';
import { useMemo, useState } from 'react';

import { plural, t } from '../../text';
import type { Path, Where } from '../document/document';
import { Form, useForm } from './context';

export function Inherited({ path, children }: { path: Path; children: React.ReactNode }) {
  const form = useForm();
  const { doc } = form;
  const origin = doc.origin(path);
  const [choice, setChoice] = useState<Where>();
  // Side by side, the two do not fit on a phone.
  const narrow = useMediaQuery('(max-width: 30em)', undefined, { getInitialValueInEffect: false });
  // A reference with fields beside it: the fields are of this place, the rest is shared.
  const written = doc.written([...path, '$ref']);
  const reference = typeof written === 'string' && written.startsWith('#/') ? written.slice(2).split('/') : undefined;
  // What a part around this one has said already is not repeated.
  const steps = (origin?.steps ?? []).filter((step) => step.via !== 'parameter').map((step) => step.at.join('/'));
  const isNew = steps.some((step) => !form.covered.includes(step));
  const target: Path | undefined = reference ?? (isNew ? origin?.path : undefined);
  const covered = useMemo(() => [...form.covered, ...steps], [form.covered, steps.join(' ')]); // eslint-disable-line react-hooks/exhaustive-deps
  const users = useMemo(() => (target ? doc.users([...target]) : []), [doc, target?.join('/')]); // eslint-disable-line react-hooks/exhaustive-deps
  const isShared = target !== undefined && users.length > 0;
  // Nobody else reads it: there is nothing to decide.
  const where: Where = isShared ? (choice ?? (users.length <= 1 ? 'shared' : 'local')) : form.where;
  const inner = useMemo(() => ({ ...form, where, covered }), [form, where, covered]);
  return (
    <Form value={inner}>
      {isShared && users.length > 1 && (
        <Alert variant="light" color="gray" icon={<IconLink size={16} aria-hidden />} py={6} px="sm" mb="xs" role="note">
          <Group justify="space-between" gap="xs">
            <Text size="sm">
              {plural(users.length, 'What follows is used in {count} place ({place}).', 'What follows is shared by {count} places ({place}). An edit is for:', { place: target.join('.') })}
            </Text>
            <SegmentedControl
              size="xs"
              orientation={narrow ? 'vertical' : 'horizontal'}
              aria-label={t('Where a change is made')}
              disabled={form.disabled}
              value={where}
              onChange={(next) => setChoice(next as Where)}
              data={[
                { value: 'local', label: t('This place only') },
                { value: 'shared', label: t('All {count} places', { count: users.length }) },
              ]}
            />
          </Group>
        </Alert>
      )}
      {children}
    </Form>
  );
}
