"""Which codes name the issuer of a passport."""

from __future__ import annotations

_ISO_3166 = """
ABW AFG AGO AIA ALA ALB AND ARE ARG ARM ASM ATA ATF ATG AUS AUT AZE BDI BEL BEN BES BFA BGD
BGR BHR BHS BIH BLM BLR BLZ BMU BOL BRA BRB BRN BTN BVT BWA CAF CAN CCK CHE CHL CHN CIV CMR
COD COG COK COL COM CPV CRI CUB CUW CXR CYM CYP CZE DEU DJI DMA DNK DOM DZA ECU EGY ERI ESH
ESP EST ETH FIN FJI FLK FRA FRO FSM GAB GBR GEO GGY GHA GIB GIN GLP GMB GNB GNQ GRC GRD GRL
GTM GUF GUM GUY HKG HMD HND HRV HTI HUN IDN IMN IND IOT IRL IRN IRQ ISL ISR ITA JAM JEY JOR
JPN KAZ KEN KGZ KHM KIR KNA KOR KWT LAO LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR
MCO MDA MDG MDV MEX MHL MKD MLI MLT MMR MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL
NER NFK NGA NIC NIU NLD NOR NPL NRU NZL OMN PAK PAN PCN PER PHL PLW PNG POL PRI PRK PRT PRY
PSE PYF QAT REU ROU RUS RWA SAU SDN SEN SGP SGS SHN SJM SLB SLE SLV SMR SOM SPM SRB SSD STP
SUR SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO THA TJK TKL TKM TLS TON TTO TUN TUR TUV TWN TZA
UGA UKR UMI URY USA UZB VAT VCT VEN VGB VIR VNM VUT WLF WSM YEM ZAF ZMB ZWE
"""

# Doc 9303 part 3, section 5: British nationalities, organisations, stateless persons and
# refugees. Its specimen state UTO issues nothing.
_ICAO_9303 = """
D EUE GBD GBN GBO GBP GBS RKS UNA UNK UNO XBA XCC XCE XCO XDC XEC XES XIM XMP XOM XPO XSP
XXA XXB XXC XXX
"""

ISSUERS = frozenset(_ISO_3166.split()) | frozenset(_ICAO_9303.split())
"""ISO 3166-1 alpha-3, and the codes that ICAO 9303 prints in passports."""

_PRINTED_BY = """
CHN: HKG MAC
GBR: GBD GBN GBO GBP GBS AIA BMU CYM FLK GGY GIB IMN IOT JEY MSR PCN SGS SHN TCA VGB
USA: ASM GUM MNP PRI UMI VIR
FRA: ATF BLM GLP GUF MAF MTQ MYT NCL PYF REU SPM WLF
NLD: ABW BES CUW SXM
DNK: FRO GRL
NZL: COK NIU TKL
AUS: CCK CXR HMD NFK
NOR: BVT SJM
FIN: ALA
"""
# docs/decisions/0006-one-state-several-codes.md: which, and why no others.

SAME_ISSUER = {"D": "DEU"}
"""Codes of ICAO 9303 for a state that ISO 3166-1 names otherwise: one passport, two codes."""

CODES_OF_STATE = {
    state: (state, *codes.split())
    for state, _, codes in (line.partition(":") for line in _PRINTED_BY.split("\n") if line)
}
"""All codes that documents of one state go by, its own first.

The state prints them, in one series of numbers; bookings and lists call them by any of these.
"""

STATE_OF = {code: state for state, codes in CODES_OF_STATE.items() for code in codes}
"""The state that prints the documents of an issuer, where it has several codes."""
