import { expect, it } from 'vitest'

import { newPasswordFault } from '../src/areas/access/password'

it.each([
  ['a new password as long as it must be', 'abcdefgh', 'abcdefgh', null],
  ['one that is short', 'abcdefg', 'abcdefg', 'new'],
  ['characters, not units of UTF-16', '𠮷𠮷𠮷𠮷', '𠮷𠮷𠮷𠮷', 'new'],
  ['one that was typed differently again', 'abcdefgh', 'abcdefgi', 'again'],
  ['what is short before what differs', 'abc', '', 'new'],
] as const)('%s', (_, password, again, field) => {
  expect(newPasswordFault(password, again, 8)?.field ?? null).toBe(field)
})
