namespace Collective.Transport.Tcp;

/// <summary>What an accepted connection is for; the magic of its first record says so.</summary>
internal interface IInboundKind
{
    /// <summary>First four bytes of the first record.</summary>
    uint Magic { get; }

    /// <summary>Connections of this kind that may be admitted at once.</summary>
    int ConnectionsMax { get; }

    /// <summary>
    /// Judges and answers the hello, and serves the connection to its end, on a thread of its own. The socket closes when this returns;
    /// a <see cref="System.Net.Sockets.SocketException"/> or <see cref="ObjectDisposedException"/> is an end like any other.
    /// </summary>
    void Serve(InboundConnection connection, byte[] hello);
}
