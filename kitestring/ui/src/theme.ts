/** Colours, type and the defaults of components. */
import { createTheme, type MantineColorsTuple } from '@mantine/core';

const kite: MantineColorsTuple = [
  '#e6f6f8', '#d0e8ec', '#a1d0d8', '#6fb7c4', '#48a3b3', '#2f96a8', '#1a7f93', '#0b7285', '#0a6272', '#06505e',
];

export const theme = createTheme({
  primaryColor: 'kite',
  primaryShade: { light: 7, dark: 7 },
  colors: { kite },
  // Fonts of the system: nothing is fetched from elsewhere.
  fontFamily: 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace',
  defaultRadius: 'md',
  headings: { fontWeight: '650' },
  cursorType: 'pointer',
});
