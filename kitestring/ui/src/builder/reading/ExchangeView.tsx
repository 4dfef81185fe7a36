/** A request, as it was sent and as a line of cURL, or what came back. Secrets are masked by the server. */
import { Alert, Badge, Group, SegmentedControl, Stack, Table, Text } from '@mantine/core';

import { t } from '../../text';
import classes from '../builder.module.css';
import { JsonTree, type UsesOf } from './JsonTree';
import { LongText } from './LongText';
import type { Exchange } from './reading';
import type { AnswerForm } from './useReadingChoice';

export function ExchangeTitle({ exchange }: { exchange: Exchange }) {
  return (
    <Group gap={8} wrap="nowrap" align="flex-start">
      <StatusMark exchange={exchange} />
      <Text size="sm" ff="monospace" className={classes.wrap} lineClamp={3}>
        {exchange.method} {exchange.url}
      </Text>
    </Group>
  );
}

function StatusMark({ exchange }: { exchange: Exchange }) {
  const { status, error } = exchange;
  const colour = error || status >= 400 || status === 0 ? 'red' : status >= 300 ? 'yellow' : 'teal';
  return (
    <Badge variant="light" color={colour} tt="none" radius="sm" c="var(--mantine-color-text)" style={{ flex: 'none' }}>
      {status === 0 ? t('No answer') : status}
    </Badge>
  );
}

export function RequestView({ exchange }: { exchange: Exchange }) {
  return (
    <Stack gap="xs">
      <ExchangeTitle exchange={exchange} />
      {exchange.curl && <LongText text={exchange.curl} label={t('Request as cURL')} copy />}
      <Headers headers={exchange.headers} label={t('Headers of the request')} />
      {exchange.body !== null && exchange.body !== undefined && <LongText text={textOf(exchange.body)} label={t('Body of the request')} />}
    </Stack>
  );
}

interface ResponseProps {
  exchange: Exchange;
  uses?: UsesOf;
  form: AnswerForm;
  changeForm: (form: AnswerForm) => void;
}

export function ResponseView({ exchange, uses, form, changeForm }: ResponseProps) {
  const nested = typeof exchange.response === 'object' && exchange.response !== null;
  return (
    <Stack gap="xs">
      <Group justify="space-between" gap="xs">
        <Group gap={8}>
          <StatusMark exchange={exchange} />
          {exchange.ms > 0 && (
            <Text size="sm" c="dimmed">
              {t('{ms} ms', { ms: Math.round(exchange.ms) })}
            </Text>
          )}
        </Group>
        {nested && (
          <SegmentedControl
            size="xs"
            aria-label={t('Form of the answer')}
            value={form}
            onChange={(next) => changeForm(next as AnswerForm)}
            data={[
              { value: 'tree', label: t('Tree') },
              { value: 'json', label: t('JSON') },
              { value: 'headers', label: t('Headers') },
            ]}
          />
        )}
      </Group>
      {exchange.error && (
        <Alert color="red" variant="light" role="alert" p="xs">
          <Text size="sm">{exchange.error}</Text>
        </Alert>
      )}
      {nested && form === 'tree' && (
        <>
          {uses && (
            <Text size="xs" c="dimmed">
              {t('Choose a value to say what it is: where the records are, their key, their cursor.')}
            </Text>
          )}
          <JsonTree value={exchange.response} label={t('Answer as a tree')} uses={uses} />
        </>
      )}
      {nested && form === 'json' && <LongText text={textOf(exchange.response)} label={t('Answer as JSON')} copy />}
      {(!nested || form === 'headers') && <Headers headers={exchange.response_headers} label={t('Headers of the answer')} />}
      {!nested &&
        (exchange.response === null || exchange.response === undefined || exchange.response === '' ? (
          <Text size="sm" c="dimmed">
            {t('The answer has no body.')}
          </Text>
        ) : (
          <LongText text={String(exchange.response)} label={t('Answer as text')} copy />
        ))}
    </Stack>
  );
}

function Headers({ headers, label }: { headers: Record<string, string>; label: string }) {
  const entries = Object.entries(headers);
  if (entries.length === 0) return null;
  return (
    <div className={classes.scroll} role="region" aria-label={label} tabIndex={0}>
      <Table fz="xs" verticalSpacing={3} layout="fixed">
        <Table.Tbody>
          {entries.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th scope="row" w="38%" className={classes.wrap}>
                {name}
              </Table.Th>
              <Table.Td className={classes.wrap}>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? '');
}
