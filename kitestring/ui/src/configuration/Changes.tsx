/** What applying a text would change: by resource, with the values before and after. */
import { Badge, Card, Code, Group, Stack, Table, Text, Title } from '@mantine/core';

import type { ProjectChange } from '../api/schema.gen';
import { t } from '../text';

export function Changes({ changes }: { changes: readonly ProjectChange[] }) {
  if (changes.length === 0) {
    return (
      <Text size="sm" c="dimmed" role="status">
        {t('Nothing to change: the server matches the text.')}
      </Text>
    );
  }
  return (
    <Stack gap="sm" component="section" aria-label={t('Changes')}>
      <Title order={3} size="h5">
        {t('What changes')}
      </Title>
      {changes.map((change) => (
        <Card key={`${change.kind} ${change.name}`} withBorder padding="sm">
          <Group gap="xs" mb={change.fields.length ? 6 : 0}>
            <Badge variant="light" tt="none" radius="sm" color={change.action === 'create' ? 'teal' : change.action === 'delete' ? 'red' : 'kite'}>
              {actionOf(change)}
            </Badge>
            <Text size="sm" fw={600} style={{ overflowWrap: 'anywhere' }}>
              {change.name}
            </Text>
            <Text size="sm" c="dimmed">
              {kindOf(change)}
            </Text>
          </Group>
          {change.fields.length > 0 && (
            <Table fz="sm" layout="fixed" verticalSpacing={4}>
              <Table.Tbody>
                {change.fields.map((field) => (
                  <Table.Tr key={field.path}>
                    <Table.Th scope="row" w="30%" fw={500} style={{ overflowWrap: 'anywhere' }}>
                      {field.path}
                    </Table.Th>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>
                      {change.action !== 'create' && (
                        <>
                          <del>
                            <Code>{shortened(field.before)}</Code>
                          </del>{' '}
                          <span aria-label={t('becomes')}>→</span>{' '}
                        </>
                      )}
                      <ins style={{ textDecoration: 'none' }}>
                        <Code>{sameSecret(field.before, field.after) ? t('another secret') : shortened(field.after)}</Code>
                      </ins>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
        </Card>
      ))}
    </Stack>
  );
}

/** Two secrets are both masked. */
function sameSecret(before: unknown, after: unknown): boolean {
  return before !== null && before !== undefined && JSON.stringify(before) === JSON.stringify(after);
}

function shortened(value: unknown): string {
  if (value === null || value === undefined) return t('none');
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 299)}…` : text;
}

function actionOf(change: ProjectChange): string {
  return { create: t('Create'), update: t('Change'), adopt: t('Change'), delete: t('Delete') }[change.action];
}

function kindOf(change: ProjectChange): string {
  return { source: t('source'), destination: t('destination'), connection: t('connection'), state: t('state'), notification: t('notification') }[change.kind];
}
