import { describe, expect, it } from 'vitest'

import { idCard, isName, numberFault, residencePermit, tidyNumber } from '../src/lib/identity'

describe('identity numbers', () => {
  // 11010519491231002X is the example of GB 11643-1999.
  it.each([
    ['11010519491231002X', idCard, null],
    ['11010519491231002x', idCard, null],
    [' 110105 19491231 002x ', idCard, null],
    ['1101051949123100', idCard, 'length'],
    ['', idCard, 'length'],
    ['11010519491231O02X', idCard, 'chars'],
    ['X1010519491231002X', idCard, 'chars'],
    ['110105194913310021', idCard, 'birth'],
    ['110105194902300021', idCard, 'birth'],
    ['110105174912310021', idCard, 'birth'],
    ['110105194912310021', idCard, 'check'],
    ['11010519491231002X', residencePermit, 'type'],
  ] as const)('%s as type %i: %s', (n, type, want) => expect(numberFault(n, type)).toBe(want))

  it('knows residence permits by their region', () => {
    const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    const digits = '81000019900101001'
    const permit = digits + '10X98765432'[weights.reduce((s, w, i) => s + w * Number(digits[i]), 0) % 11]
    expect(numberFault(permit, residencePermit)).toBeNull()
    expect(numberFault(permit, idCard)).toBe('type')
  })

  it('tidies what is typed', () => expect(tidyNumber(' 1 2x')).toBe('12X'))
})

describe('names', () => {
  it.each(['张三', '买买提·吐尔逊', "O'Neil Jr.", 'é', '𠮷野'])('takes %s', (n) =>
    expect(isName(n)).toBe(true),
  )
  it.each(['', ' ', '·', '张3', 'a<b', '张'.repeat(61)])('does not take %j', (n) =>
    expect(isName(n)).toBe(false),
  )
})
