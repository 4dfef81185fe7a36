/** Mantine's tooltip, in a file of its own so that it can be loaded later. */
export { Tooltip } from '@mantine/core';
