/** The places of the interface, in the order of the menu. */
import {
  IconArrowsRightLeft,
  IconChartBar,
  IconDatabaseExport,
  IconDatabaseImport,
  IconHistory,
  IconMessageQuestion,
  IconPuzzle,
  IconSettings,
  IconTable,
} from '@tabler/icons-react';

import { t } from '../text';

export const PLACES = [
  { to: '/connections', label: () => t('Connections'), icon: IconArrowsRightLeft },
  { to: '/jobs', label: () => t('Jobs'), icon: IconHistory },
  { to: '/sources', label: () => t('Sources'), icon: IconDatabaseExport },
  { to: '/destinations', label: () => t('Destinations'), icon: IconDatabaseImport },
  { to: '/data', label: () => t('Data'), icon: IconTable },
  { to: '/ask', label: () => t('Ask'), icon: IconMessageQuestion },
  { to: '/builder', label: () => t('Builder'), icon: IconPuzzle },
  { to: '/usage', label: () => t('Usage'), icon: IconChartBar },
  { to: '/settings', label: () => t('Settings'), icon: IconSettings },
] as const;
