//! A block: its header, its transactions and what became of them.

use alloy::consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy::consensus::{
    EMPTY_OMMER_ROOT_HASH, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxEnvelope,
    TxType, transaction::Recovered,
};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::{Address, B256, Bloom, Bytes, Log};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

/// A block with its hash.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) header: Header,
    pub(crate) hash: B256,
    pub(crate) transactions: Vec<Included>,
}

/// A transaction in a block, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Included {
    pub(crate) transaction: TxEnvelope,
    pub(crate) from: Address,
    pub(crate) success: bool,
    /// Of this one and all before it in the block.
    pub(crate) cumulative_gas: u64,
    pub(crate) logs: Vec<Log>,
}

impl Included {
    /// The transaction with its sender.
    pub(crate) fn recovered(&self) -> Recovered<TxEnvelope> {
        Recovered::new_unchecked(self.transaction.clone(), self.from)
    }

    /// What this one pays for a unit of gas.
    pub(crate) fn gas_price(&self, base_fee: u64) -> u128 {
        self.transaction.effective_gas_price(Some(base_fee))
    }

    /// The address of the contract that it made or was to make.
    pub(crate) fn creates(&self) -> Option<Address> {
        self.transaction.is_create().then(|| self.from.create(self.transaction.nonce()))
    }

    /// Its receipt, with logs in whatever form is wanted.
    pub(crate) fn receipt<L>(&self, logs: Vec<L>) -> ReceiptEnvelope<L> {
        let receipt = Receipt { status: self.success.into(), cumulative_gas_used: self.cumulative_gas, logs };
        let receipt = ReceiptWithBloom::new(receipt, self.bloom());
        match self.transaction.tx_type() {
            TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
            TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
            TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
            TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
            TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
        }
    }

    fn bloom(&self) -> Bloom {
        Bloom::from_iter(&self.logs)
    }
}

impl Block {
    /// Completes a header with what follows from the transactions, and seals it.
    pub(crate) fn seal(header: Header, transactions: Vec<Included>) -> Block {
        let receipts: Vec<_> = transactions.iter().map(|t| t.receipt(t.logs.clone())).collect();
        let logs_bloom = transactions.iter().fold(Bloom::ZERO, |all, t| all | t.bloom());
        let bodies: Vec<_> = transactions.iter().map(|t| &t.transaction).collect();
        let header = Header {
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            transactions_root: calculate_transaction_root(&bodies),
            receipts_root: calculate_receipt_root(&receipts),
            gas_used: transactions.last().map_or(0, |t| t.cumulative_gas),
            logs_bloom,
            ..header
        };
        Block { hash: header.hash_slow(), header, transactions }
    }

    /// The block's number.
    pub(crate) fn number(&self) -> u64 {
        self.header.number
    }

    /// The price of gas that is burnt.
    pub(crate) fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// The gas that one of its transactions used.
    pub(crate) fn gas_used(&self, index: usize) -> u64 {
        let before =
            index.checked_sub(1).and_then(|i| self.transactions.get(i)).map_or(0, |t| t.cumulative_gas);
        self.transactions.get(index).map_or(0, |t| t.cumulative_gas - before)
    }

    /// The bytes of the block as peers of other chains would pass it on.
    pub(crate) fn size(&self) -> usize {
        let transactions: Vec<Bytes> =
            self.transactions.iter().map(|t| t.transaction.encoded_2718().into()).collect();
        // Two empty lists follow: uncles and withdrawals.
        let payload = self.header.length() + transactions.length() + 2;
        payload + alloy_rlp::length_of_length(payload)
    }

    /// The block as it is stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let transactions = self.transactions.iter().map(|t| StoredTransaction {
            raw: t.transaction.encoded_2718().into(),
            from: t.from,
            success: t.success,
            cumulative_gas: t.cumulative_gas,
            logs: t.logs.clone(),
        });
        alloy_rlp::encode(StoredBlock { header: self.header.clone(), transactions: transactions.collect() })
    }

    /// The hash of a stored block, without decoding what is in it.
    pub(crate) fn decode_hash(mut bytes: &[u8]) -> Result<B256, alloy_rlp::Error> {
        alloy_rlp::Header::decode_bytes(&mut bytes, true)
            .and_then(|mut payload| Header::decode(&mut payload))
            .map(|header| header.hash_slow())
    }

    /// A block from what was stored.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Block, alloy_rlp::Error> {
        let stored = StoredBlock::decode(&mut bytes)?;
        let transactions = stored.transactions.into_iter().map(|t| {
            let transaction = TxEnvelope::decode_2718(&mut t.raw.as_ref())
                .map_err(|_| alloy_rlp::Error::Custom("a transaction that is none"))?;
            let StoredTransaction { from, success, cumulative_gas, logs, .. } = t;
            Ok(Included { transaction, from, success, cumulative_gas, logs })
        });
        let transactions = transactions.collect::<Result<_, alloy_rlp::Error>>()?;
        Ok(Block { hash: stored.header.hash_slow(), header: stored.header, transactions })
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct StoredBlock {
    header: Header,
    transactions: Vec<StoredTransaction>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct StoredTransaction {
    raw: Bytes,
    from: Address,
    success: bool,
    cumulative_gas: u64,
    logs: Vec<Log>,
}
