/** A list of texts, each entered with Enter. Taking one out leaves the focus in the list, not in the field before. */
import { TagsInput, type TagsInputProps } from '@mantine/core';
import { useRef } from 'react';

export function Tags(props: TagsInputProps) {
  const input = useRef<HTMLInputElement>(null);
  return <TagsInput {...props} ref={input} onRemove={() => input.current?.focus()} />;
}
