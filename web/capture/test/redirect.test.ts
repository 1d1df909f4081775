import { describe, expect, it } from 'vitest'

import { firstFollowable, mayFollow, withParams } from '../src/lib/redirect'

describe('redirects', () => {
  it.each([
    'https://a.example/ok?x=1#y',
    'http://127.0.0.1:8080/',
    'HTTPS://A.example',
    'myapp://verified?ok=1',
    'weixin://dl/business',
    'com.example.app:/done',
    'https://a.example/路径',
  ])('follows %s', (a) => expect(mayFollow(a)).toBe(true))

  it.each([
    '',
    'javascript:alert(1)',
    'JavaScript:alert(1)',
    'java\nscript:alert(1)',
    '\tjavascript:alert(1)',
    ' javascript:alert(1)',
    '\u0001javascript:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'blob:https://a.example/1',
    'file:///etc/passwd',
    'filesystem:https://a.example/x',
    'about:blank',
    'view-source:https://a.example',
    '//a.example/x',
    '/path',
    'a.example',
    'https://',
    'https:',
    'https://a example/',
  ])('does not follow %j', (a) => expect(mayFollow(a)).toBe(false))

  it('takes the first that it may follow, as it was given', () => {
    expect(firstFollowable('HTTPS://A.example/%7e', 'https://b.example')).toBe('HTTPS://A.example/%7e')
    expect(firstFollowable('javascript:x', 'https://b.example/')).toBe('https://b.example/')
    expect(firstFollowable('', 'file:///x')).toBe('')
  })
})

describe('what is handed on', () => {
  const cases: [string, Record<string, string>, string][] = [
    ['https://a.example/ok?state=a%2Fb', {}, 'https://a.example/ok?state=a%2Fb'],
    ['https://a.example/ok', { verifyResultId: 'x1' }, 'https://a.example/ok?verifyResultId=x1'],
    ['https://a.example/ok?a=1#top', { code: '1020100002' }, 'https://a.example/ok?a=1&code=1020100002#top'],
    ['https://a.example/ok?', { code: '1' }, 'https://a.example/ok?code=1'],
    ['myapp://done', { code: 'ü&' }, 'myapp://done?code=%C3%BC%26'],
    ['', { code: '1' }, ''],
  ]
  it.each(cases)('%s with %o', (address, params, want) => {
    expect(withParams(address, params)).toBe(want)
  })
})
