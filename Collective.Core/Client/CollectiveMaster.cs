using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Collective.Coordination;
using Collective.Hosting;
using Collective.Protocol;
using Microsoft.Extensions.Logging;

namespace Collective;

/// <summary>A master inside this process: coordinates the peers of one run. It is no peer and touches no tensor data.</summary>
public sealed class CollectiveMaster : IAsyncDisposable
{
    private readonly MasterHost _host;
    private readonly ILoggerFactory? _loggerFactory;

    private CollectiveMaster(MasterHost host, ILoggerFactory? loggerFactory)
    {
        _host = host;
        _loggerFactory = loggerFactory;
    }

    /// <summary>The address it listens on, with the port the system chose if it was asked to.</summary>
    public IPEndPoint EndPoint => _host.EndPoint;

    /// <summary>Ends when the master has stopped; faults only on an internal error.</summary>
    public Task Completion => _host.Completion;

    /// <summary>Binds and starts.</summary>
    /// <exception cref="CollectiveException">
    /// <see cref="ErrorCode.InvalidArgument"/>: an option is out of range or the address is none of this host.
    /// <see cref="ErrorCode.AddressInUse"/>: something else listens there.
    /// </exception>
    public static CollectiveMaster Start(MasterOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var timeoutMs = options.HeartbeatTimeout.TotalMilliseconds;
        if (timeoutMs is < Limits.HeartbeatTimeoutMsMin or > Limits.HeartbeatTimeoutMsMax)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, $"the heartbeat timeout is {options.HeartbeatTimeout}: choose 200 ms to 10 min");
        }

        var crossedMs = options.CrossedCallsTimeout.TotalMilliseconds;
        if (crossedMs is < 100 or > 24 * 3_600_000.0)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, $"the timeout for crossed calls is {options.CrossedCallsTimeout}: choose 100 ms to 24 h");
        }

        if (options.SegmentBytes is < Limits.SegmentBytesMin or > Limits.SegmentBytesMax || options.SegmentBytes % 8 != 0)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, $"the segment size is {options.SegmentBytes} bytes: choose a multiple of 8 from {Limits.SegmentBytesMin} to {Limits.SegmentBytesMax}");
        }

        var endPoint = Resolve(HostPort.Parse(options.Listen, CommunicatorOptions.DefaultMasterPort, "the listen address"));
        var configuration = new MasterConfiguration(new RunId(Guid.NewGuid()), Term: 1, (int)timeoutMs, options.SegmentBytes, (int)crossedMs)
        {
            Key = new LinkKey(new Guid(RandomNumberGenerator.GetBytes(16))),
        };
        var logger = BackgroundLog.CreateLogger(options.LoggerFactory, "Collective.Master");
        try
        {
            return new CollectiveMaster(new MasterHost(endPoint, configuration, logger), options.LoggerFactory);
        }
        catch (OutOfMemoryException e)
        {
            throw new CollectiveException(ErrorCode.InternalError, "the system gives the master no thread or no memory: raise the limits of this process (ulimit -u, -v, -n)", e);
        }
        catch (SocketException e)
        {
            var inUse = e.SocketErrorCode == SocketError.AddressAlreadyInUse;
            throw new CollectiveException(
                inUse ? ErrorCode.AddressInUse : ErrorCode.InvalidArgument,
                $"cannot listen on {endPoint}: {e.Message}{(inUse ? ", or choose another port" : "")}",
                e);
        }
    }

    /// <summary>Stops: every peer loses its master. When it is done another master may listen at the same address.</summary>
    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        try
        {
            await Completion.ConfigureAwait(false);
        }
        catch (InvariantException)
        {
            // Reported by Completion; disposal succeeds all the same.
        }

        BackgroundLog.Flush(_loggerFactory);
    }

    /// <summary>
    /// Of a name the first address that other hosts could reach, IPv4 before IPv6. The name of this host itself may be a loopback address here (Debian's 127.0.1.1), while others
    /// know it by other addresses: then the master listens on all of them.
    /// </summary>
    private static IPEndPoint Resolve(HostPort listen)
    {
        try
        {
            if (IPAddress.TryParse(listen.Host, out var literal))
            {
                return new IPEndPoint(literal, listen.Port);
            }

            var addresses = Dns.GetHostAddresses(listen.Host).OrderBy(a => (IPAddress.IsLoopback(a), a.IsIPv6LinkLocal, a.AddressFamily == AddressFamily.InterNetworkV6)).ToList();
            var isOwnName = string.Equals(listen.Host, Dns.GetHostName(), StringComparison.OrdinalIgnoreCase);
            var address = isOwnName && addresses.Exists(IPAddress.IsLoopback) ? Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any : addresses[0];
            return new IPEndPoint(address, listen.Port);
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, $"cannot listen on '{listen.Host}': {e.Message}", e);
        }
    }
}
