/** How the next page is requested. */
import { Select, Stack, Text } from '@mantine/core';

import { t } from '../../text';
import { ComponentFields } from './ComponentForm';
import { type FormProps, useField, useForm } from './context';
import { Inherited } from './Inherited';
import { type PaginationKind, paginationKind, PAGINATIONS } from './paginations';

export function paginationTitle(kind: PaginationKind): string {
  return {
    none: t('One page'),
    page: t('Page number'),
    offset: t('Offset'),
    cursor: t('Cursor in the answer'),
    link: t('Link header'),
    address: t('Address of the next page in the answer'),
    other: t('Something else'),
  }[kind];
}

/** `path`: the paginator of a retriever. */
export function PaginationFields({ path }: Pick<FormProps, 'path'>) {
  const { doc } = useForm();
  const { set, remove, disabled, error } = useField(path);
  const kind = paginationKind((...keys) => doc.get([...path, ...keys]));
  const kinds = [...(['none', 'page', 'offset', 'cursor', 'link', 'address'] as const), ...(kind === 'other' ? (['other'] as const) : [])];
  return (
    <Stack gap="sm">
      <Select
        label={t('Kind')}
        error={error}
        disabled={disabled}
        maw={420}
        allowDeselect={false}
        data={kinds.map((value) => ({ value, label: paginationTitle(value) }))}
        value={kind}
        onChange={(next) => {
          if (next === null || next === kind || next === 'other') return;
          if (next !== 'none') set(PAGINATIONS[next as keyof typeof PAGINATIONS]);
          else if (doc.written(path) !== undefined) remove();
          else set({ type: 'NoPagination' });
        }}
      />
      {kind === 'none' ? (
        <Text size="sm" c="dimmed">
          {t('Every request has all its records in one answer.')}
        </Text>
      ) : (
        <Inherited path={path}>
          <ComponentFields path={[...path, 'pagination_strategy']} />
          <Stack gap="sm" mt="sm">
            <ComponentFields path={path} except={['pagination_strategy']} />
          </Stack>
        </Inherited>
      )}
    </Stack>
  );
}
