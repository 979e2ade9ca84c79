//! A channel between two processes: whole messages, with descriptors.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::time::Duration;

/// The longest message.
const MESSAGE_BYTES: usize = 32 * 1024;
/// The most descriptors that come with one message.
const DESCRIPTORS: usize = 8;

/// One end of a channel.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// A message with the descriptors that came with it.
pub type Received = (Vec<u8>, Vec<OwnedFd>);

impl Channel {
    /// Both ends of a fresh channel.
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel(one), Channel(other)))
    }

    /// The end that a descriptor stands for.
    pub fn from_fd(fd: OwnedFd) -> Channel {
        Channel(fd)
    }

    /// The descriptor itself.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Ends the channel for both sides, whoever else has a copy of this end: a program that forked has.
    pub fn shut_down(&self) {
        // One that is closed already is as good.
        let _shut = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }

    /// A send whose message nobody makes room for fails after this.
    ///
    /// # Errors
    /// If the system does not know of it.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        // No patience would be any.
        let patience = patience.max(Duration::from_millis(1));
        Ok(set_socket_timeout(&self.0, Timeout::Send, Some(patience))?)
    }

    /// Sends a message whole.
    ///
    /// # Errors
    /// If the other end is gone, or nobody reads there for longer than this end has patience.
    pub fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(
                ancillary.push(SendAncillaryMessage::ScmRights(descriptors)),
                "at most {DESCRIPTORS} descriptors a message"
            );
        }
        loop {
            match sendmsg(&self.0, &[IoSlice::new(message)], &mut ancillary, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for the next message; `None` once the other end is closed and everything was read.
    ///
    /// # Errors
    /// If the channel fails.
    pub fn receive(&self) -> io::Result<Option<Received>> {
        let mut bytes = vec![0; MESSAGE_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        bytes.truncate(received.bytes);
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                descriptors.extend(fds);
            }
        }
        Ok(Some((bytes, descriptors)))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
