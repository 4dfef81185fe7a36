/** The list of keys. */
import { Kbd, Modal, Table } from '@mantine/core';

import { useFocusBack } from '../shell/useFocusBack';
import { t } from '../text';
import { keyTexts } from './keys';

export function KeyHelp({ onClose }: { onClose: () => void }) {
  useFocusBack();
  return (
    <Modal opened onClose={onClose} title={t('Keys')} centered closeButtonProps={{ 'aria-label': t('Close') }}>
      <Table verticalSpacing="xs" withRowBorders={false}>
        <Table.Tbody>
          {keyTexts().map(([key, text]) => (
            <Table.Tr key={key}>
              <Table.Th scope="row" w={140}>
                <Kbd>{key}</Kbd>
              </Table.Th>
              <Table.Td>{text}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}
