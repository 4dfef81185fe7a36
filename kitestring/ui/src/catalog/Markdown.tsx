/** A page in Markdown, as elements of React. */
import { Code, List, Table, Text, Title } from '@mantine/core';
import { memo } from 'react';

import { RichText } from '../form/RichText';
import type { Block } from './markdown';

export const Markdown = memo(function Markdown({ blocks, current }: { blocks: readonly Block[]; current: number }) {
  return blocks.map((block, place) => (
    <div key={place} data-block={place} data-current={place === current || undefined}>
      <Part block={block} />
    </div>
  ));
});

function Part({ block }: { block: Block }) {
  switch (block.kind) {
    case 'heading':
      return block.level === 1 ? null : (
        <Title order={block.level === 2 ? 4 : 5} size={block.level === 2 ? 'h5' : 'h6'} mt="md" mb={4}>
          <RichText text={block.text} />
        </Title>
      );
    case 'paragraph':
      return (
        <Text size="sm" my={6}>
          <RichText text={block.text} />
        </Text>
      );
    case 'code':
      return (
        <Code block my={6} tabIndex={0}>
          {block.text}
        </Code>
      );
    case 'list':
      return (
        <List size="sm" my={6} type={block.ordered ? 'ordered' : 'unordered'} spacing={4} pr="sm">
          {block.items.map((item, number) => (
            <List.Item key={number}>
              <RichText text={item} />
            </List.Item>
          ))}
        </List>
      );
    case 'table':
      return (
        <Table.ScrollContainer minWidth={320} my={6} tabIndex={0} type="native">
          <Table fz="xs" verticalSpacing={4} horizontalSpacing={6}>
            {block.head.some((cell) => cell !== '') && (
              <Table.Thead>
                <Table.Tr>
                  {block.head.map((cell, number) => (
                    <Table.Th key={number}>
                      <RichText text={cell} />
                    </Table.Th>
                  ))}
                </Table.Tr>
              </Table.Thead>
            )}
            <Table.Tbody>
              {block.rows.map((row, number) => (
                <Table.Tr key={number}>
                  {row.map((cell, column) => (
                    <Table.Td key={column} style={{ verticalAlign: 'top' }}>
                      <RichText text={cell} />
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      );
  }
}
