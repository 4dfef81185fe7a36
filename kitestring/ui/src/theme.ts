/** Colours, type, spacing and the defaults of components. What depends on the density is in global.css. */
import { createTheme, type MantineColorsTuple } from '@mantine/core';

/** The kite: the colour of what can be done. */
const kite: MantineColorsTuple = [
  '#e4f5f7', '#cbe8ec', '#9dd2da', '#69bac7', '#42a5b5', '#2696a8', '#158093', '#0b7285', '#0a6072', '#07495a',
];

/** Greys with a little of the kite in them, so that surfaces belong together. */
const gray: MantineColorsTuple = [
  '#f5f8f9', '#edf2f4', '#e2e9ec', '#d3dde1', '#bfcbd1', '#9dacb4', '#75868f', '#4c5b63', '#333f46', '#1b262c',
];

const dark: MantineColorsTuple = [
  '#d9e2e5', '#b9c6ca', '#93a4aa', '#66777e', '#32424a', '#24323a', '#182329', '#101a1f', '#0b1418', '#070d10',
];

export const theme = createTheme({
  primaryColor: 'kite',
  primaryShade: { light: 7, dark: 7 },
  colors: { kite, gray, dark },
  black: '#14232a',
  // Served by ourselves; the system's fonts until it has come.
  fontFamily: '"Figtree Variable", system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace',
  fontSizes: { xs: '0.78125rem', sm: '0.875rem', md: '0.96875rem', lg: '1.125rem', xl: '1.375rem' },
  lineHeights: { xs: '1.4', sm: '1.45', md: '1.5', lg: '1.5', xl: '1.45' },
  spacing: { xs: '0.5rem', sm: '0.75rem', md: '1rem', lg: '1.5rem', xl: '2.25rem' },
  radius: { xs: '3px', sm: '5px', md: '8px', lg: '12px', xl: '32px' },
  shadows: {
    xs: '0 1px 2px rgb(7 40 50 / 6%)',
    sm: '0 1px 3px rgb(7 40 50 / 8%), 0 1px 2px rgb(7 40 50 / 4%)',
    md: '0 4px 14px rgb(7 40 50 / 10%), 0 1px 3px rgb(7 40 50 / 6%)',
    lg: '0 12px 32px rgb(7 40 50 / 14%), 0 2px 6px rgb(7 40 50 / 6%)',
    xl: '0 24px 60px rgb(7 40 50 / 20%)',
  },
  defaultRadius: 'md',
  headings: {
    fontWeight: '700',
    sizes: {
      h1: { fontSize: '1.75rem', lineHeight: '1.2' },
      h2: { fontSize: '1.5rem', lineHeight: '1.25' },
      h3: { fontSize: '1.1875rem', lineHeight: '1.35' },
      h4: { fontSize: '1.0625rem', lineHeight: '1.4' },
      h5: { fontSize: '0.96875rem', lineHeight: '1.45' },
      h6: { fontSize: '0.875rem', lineHeight: '1.45' },
    },
  },
  cursorType: 'pointer',
  respectReducedMotion: true,
  // Plain objects, not Component.extend(): that would load every component with the first page.
  components: {
    Button: { styles: { label: { fontWeight: 600 } } },
    Card: { defaultProps: { radius: 'lg' } },
    Paper: { defaultProps: { radius: 'lg' } },
    // The placeholder would be a child of the menu that is none of its items.
    Menu: { defaultProps: { shadow: 'lg', radius: 'md', withInitialFocusPlaceholder: false } },
    Modal: {
      defaultProps: { radius: 'lg', overlayProps: { backgroundOpacity: 0.45, blur: 2 } },
      // In the dark too, the head has the ground of what is below it.
      styles: { header: { background: 'inherit' }, title: { fontWeight: 700, fontSize: 'var(--mantine-h4-font-size)' } },
    },
    Drawer: { styles: { header: { background: 'inherit' } } },
    // Entries that cannot be changed are read all the same.
    TagsInput: { styles: { input: { opacity: 1 }, pill: { color: 'var(--mantine-color-text)' } } },
    Tabs: { styles: { tabLabel: { fontWeight: 550 } } },
    Tooltip: { defaultProps: { openDelay: 250, radius: 'sm' } },
  },
});
