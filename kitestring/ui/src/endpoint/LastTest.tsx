/** The last test of a source or destination: whether it worked, when, and what was wrong. */
import { Group, Text } from '@mantine/core';
import { IconCircleCheck, IconCircleDashed, IconCircleX } from '@tabler/icons-react';

import type { CheckResult } from '../api/schema.gen';
import { Hint } from '../shell/Hint';
import badge from '../shell/status.module.css';
import { Time } from '../shell/Time';
import { t } from '../text';

export function LastTest({ check, sentence = false }: { check: CheckResult | null | undefined; sentence?: boolean }) {
  if (!check)
    return (
      <span className={badge.badge} data-color="gray">
        <IconCircleDashed size={14} aria-hidden />
        {t('Not tested')}
      </span>
    );
  const works = check.status === 'succeeded';
  const mark = (
    <span className={badge.badge} data-color={works ? 'green' : 'red'}>
      {works ? <IconCircleCheck size={14} aria-hidden /> : <IconCircleX size={14} aria-hidden />}
      {works ? t('Works') : t('Fails')}
    </span>
  );
  return (
    <Group gap="xs" wrap={sentence ? 'wrap' : 'nowrap'}>
      {works || sentence ? mark : <Hint label={check.message}>{mark}</Hint>}
      {typeof check.checkedAtMs === 'number' && (
        <Text span size="xs" c="dimmed">
          <Time ms={check.checkedAtMs} />
        </Text>
      )}
      {sentence && !works && <Text size="sm">{check.message}</Text>}
    </Group>
  );
}
