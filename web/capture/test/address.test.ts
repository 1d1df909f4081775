import { describe, expect, it } from 'vitest'

import { parseAddress } from '../src/lib/address'

describe('the page address', () => {
  const cases: [string, string, string, [string, string, string]][] = [
    ['nothing', '', '', ['', '', '']],
    ['token alone', '?token=abc', '', ['abc', '', '']],
    [
      'encoded addresses',
      '?token=abc&successUrl=https%3A%2F%2Fa.example%2Fok%3Fx%3D1%26y%3D2%23top&failedUrl=https%3A%2F%2Fa.example%2Fno',
      '',
      ['abc', 'https://a.example/ok?x=1&y=2#top', 'https://a.example/no'],
    ],
    [
      'addresses as they are, with parameters of their own',
      '?token=abc&successUrl=https://a.example/ok?x=1&y=%E5%BC%A0&failedUrl=https://a.example/no?z=3&q',
      '',
      ['abc', 'https://a.example/ok?x=1&y=%E5%BC%A0', 'https://a.example/no?z=3&q'],
    ],
    [
      'an address whose own parameter is called token',
      '?token=abc&successUrl=https://a.example/ok?token=theirs&token=again&failedUrl=https://a.example/no',
      '',
      ['abc', 'https://a.example/ok?token=theirs&token=again', 'https://a.example/no'],
    ],
    [
      'an address with a fragment, which the browser takes for ours',
      '?token=abc&successUrl=https://a.example/',
      '#/done?x=1&failedUrl=https://a.example/#/no',
      ['abc', 'https://a.example/#/done?x=1', 'https://a.example/#/no'],
    ],
    [
      'an app scheme',
      '?token=a&successUrl=myapp://done&failedUrl=myapp%3A%2F%2Fno',
      '',
      ['a', 'myapp://done', 'myapp://no'],
    ],
    [
      'encoded twice',
      '?token=a&successUrl=https%253A%252F%252Fa.example%252Fx',
      '',
      ['a', 'https://a.example/x', ''],
    ],
    ['broken encoding', '?token=a&successUrl=%E5%BC', '', ['a', '', '']],
    ['unknown parameters', '?useNative=1&token=a&x=2&callbackUrl=https://b.example', '', ['a', '', '']],
    ['a fragment added by an app', '?token=a', '#wechat_redirect', ['a', '', '']],
    ['the first of two', '?token=a&token=b', '', ['a', '', '']],
  ]
  it.each(cases)('%s', (_, search, hash, [token, successUrl, failedUrl]) => {
    expect(parseAddress(search, hash)).toMatchObject({ token, successUrl, failedUrl })
  })

  it.each([
    ['?token=a&useNative=1', true],
    ['?token=a&useNative=1&failedUrl=myapp://no', true],
    ['?token=a&useNative=0', false],
    ['?token=a&useNative=10', false],
    ['?token=a', false],
  ])('%s: an app is to be told %s', (search, want) => expect(parseAddress(search).useNative).toBe(want))

  it('takes from behind the # whose app and user it is', () => {
    const a = parseAddress('?token=abc&useNative=1', '#&shirenApp=100001&shirenSubject=u%2F1%20x')
    expect([a.token, a.useNative, a.app, a.subject]).toEqual(['abc', true, '100001', 'u/1 x'])
    const raw = parseAddress('?token=abc&successUrl=https://a.example/ok?x=1', '#&shirenApp=100001')
    expect([raw.successUrl, raw.app]).toEqual(['https://a.example/ok?x=1#', '100001'])
  })
})
