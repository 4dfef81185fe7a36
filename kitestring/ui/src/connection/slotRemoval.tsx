/** What the deletion of a connection does with its replication slot: before, in the dialog, and after, as a message. */
import { Alert, Code, Stack, Text } from '@mantine/core';

import { api, OWN } from '../api/client';
import type { ConnectionSlot, SlotRemoval } from '../api/schema.gen';
import { size } from '../shell/format';
import { notifySuccess } from '../shell/notify';
import { showToast } from '../shell/toasts';
import { t } from '../text';

const LOOK_MS = 1000;
const LOOKS = 10;

export function slotOf(connectionId: string): Promise<ConnectionSlot> {
  return api.get<ConnectionSlot>(`${OWN}/connections/${connectionId}/slot`);
}

export function SlotBeforeDeletion({ answer }: { answer: ConnectionSlot }) {
  const { slot, keptBecause } = answer;
  if (slot === null) return null;
  if (keptBecause === null)
    return (
      <Text size="sm">
        {t('The replication slot {slot} of {place} is dropped too; the database retains {size} of its log for it.', {
          slot: slot.slot,
          place: slot.place,
          size: size(slot.retainedBytes),
        })}
      </Text>
    );
  return (
    <Alert color="orange" variant="light" title={t('The replication slot {slot} stays', { slot: slot.slot })}>
      <Reason removal={keptBecause} />
    </Alert>
  );
}

function Reason({ removal }: { removal: SlotRemoval }) {
  const [words, statement] = removal.hint.split(/(?=SELECT )/, 2);
  return (
    <Stack gap={4}>
      <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
        {removal.message}. {words}
      </Text>
      {statement && <Code block>{statement}</Code>}
    </Stack>
  );
}

export function notifyRemoval(removal: SlotRemoval | undefined): void {
  if (removal === undefined) notifySuccess(t('The replication slot is being dropped. If that fails, a notification says why.'));
  else if (removal.status === 'dropped') notifySuccess(t('Dropped: {what}', { what: removal.message }));
  else showToast({ tone: 'error', title: t('The replication slot stays: {reason}', { reason: removal.message }), hint: removal.hint });
}

/** What became of the slot, once that is known; undefined where there was none, or it takes longer. */
export async function removalOf(connectionId: string): Promise<SlotRemoval | undefined> {
  for (let look = 0; look < LOOKS; look += 1) {
    const { slot } = await slotOf(connectionId);
    if (slot === null || slot.removal === null) return undefined;
    if (slot.removal.status !== 'waiting') return slot.removal;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return undefined;
}
