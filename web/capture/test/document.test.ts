import { describe, expect, it } from 'vitest'

import { answer, bornOf, entries, type Entry, fieldFault, readDate, showDate } from '../src/lib/document'
import type { ReadField } from '../src/lib/protocol'

const field = (name: string, value: string, doubtful = false): ReadField => ({ name, value, doubtful })
// The number is the example of GB 11643-1999.
const front = [
  field('name', '赵六'),
  field('gender', '女'),
  field('nation', '汉'),
  field('birthday', '19491231'),
  field('address', '某省某市某街道1号', true),
  field('number', '11010519491231002X'),
]
const back = [field('authority', '某市公安局'), field('issued', '20200131'), field('expires', '长期')]
const entry = (name: string, text: string): Entry => ({ name, side: 'front', text, doubtful: false })

describe('what was read', () => {
  it('is a form of both sides; birthday and gender follow from the number', () => {
    const list = entries({ back, front })
    expect(list.map((e) => e.name)).toEqual([
      'name',
      'nation',
      'address',
      'number',
      'authority',
      'issued',
      'expires',
    ])
    expect(list.filter((e) => e.doubtful).map((e) => e.name)).toEqual(['address'])
    expect(list.find((e) => e.name === 'issued')?.text).toBe('2020-01-31')
    expect(bornOf('11010519491231002x')).toEqual({ date: '1949-12-31', female: true })
    expect(bornOf('110105194912310021')).toBeNull()
  })

  it('is answered whole, as the server writes it', () => {
    const list = entries({ front, back })
    list.find((e) => e.name === 'number')!.text = ' 110105 19491231 002x '
    list.find((e) => e.name === 'expires')!.text = '2040.1.31'
    expect(answer(list)).toEqual({
      name: '赵六',
      nation: '汉',
      address: '某省某市某街道1号',
      number: '11010519491231002X',
      authority: '某市公安局',
      issued: '20200131',
      expires: '20400131',
    })
  })
})

describe('dates', () => {
  it.each([
    ['20200131', false, '20200131'],
    ['2020-01-31', false, '20200131'],
    ['2020.1.5', false, '20200105'],
    ['2020年1月5日', false, '20200105'],
    ['2020-02-30', false, ''],
    ['202001', false, ''],
    ['', false, ''],
    ['长期', false, ''],
    ['长期', true, '长期'],
    ['Long-term', true, '长期'],
  ])('%s (for ever: %s) is %s', (text, lasts, want) => expect(readDate(text, lasts)).toBe(want))
  it('are shown for people, and what is none stays as it is', () => {
    expect([showDate('20200131'), showDate('长期'), showDate('2020')]).toEqual(['2020-01-31', '长期', '2020'])
  })
})

describe('faults', () => {
  it.each([
    ['name', '赵六', null],
    ['name', ' ', 'name'],
    ['name', '赵6', 'name'],
    ['number', '11010519491231002x', null],
    ['number', '810000199408230021', null], // a residence permit
    ['number', '110105194912310021', 'check'],
    ['number', '1101', 'length'],
    ['issued', '长期', 'date'],
    ['expires', '长期', null],
    ['expires', 'soon', 'expires'],
    ['address', '', 'empty'],
    ['address', '某街', null],
  ])('%s %s: %s', (name, text, want) => expect(fieldFault(entry(name, text))).toBe(want))
})
