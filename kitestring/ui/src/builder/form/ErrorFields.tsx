/** Which answers are errors, what is tried again, and how long it waits. */
import { Button, Stack, Text } from '@mantine/core';

import { t } from '../../text';
import { ComponentFields } from './ComponentForm';
import { ComponentField } from './ComponentField';
import { type FormProps, useField, useForm } from './context';
import { Inherited } from './Inherited';
import { optionsOf } from './kinds';

/** `path`: the `error_handler` of a requester. */
export function ErrorFields({ path }: Pick<FormProps, 'path'>) {
  const { doc, schema } = useForm();
  const { value, set, remove, disabled } = useField(path);
  if (value === undefined || value === null) {
    return (
      <Stack gap="xs" align="flex-start">
        <Text size="sm" c="dimmed">
          {t('Too many requests and errors of the server are repeated, and the waits that the API asks for are kept. Other errors end the stream.')}
        </Text>
        <Button
          size="xs"
          variant="default"
          disabled={disabled}
          onClick={() => set({ type: 'DefaultErrorHandler', response_filters: [{ type: 'HttpResponseFilter', action: 'IGNORE', http_codes: [404] }] })}
        >
          {t('Handle other answers')}
        </Button>
      </Stack>
    );
  }
  const field = schema.field('HttpRequester', 'error_handler');
  if (doc.get([...path, 'type']) !== 'DefaultErrorHandler' && field) {
    return <ComponentField path={path} label={t('Error handler')} name={t('Error handler')} field={field} option={optionsOf(schema, field.type)[0]!} />;
  }
  return (
    <Inherited path={path}>
      <Stack gap="sm">
        <ComponentFields path={path} />
        <Button size="compact-xs" variant="subtle" color="gray" disabled={disabled} style={{ alignSelf: 'flex-start' }} onClick={remove}>
          {t('Back to what is usual')}
        </Button>
      </Stack>
    </Inherited>
  );
}
