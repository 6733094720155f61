using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>Finds out which peers' data ports accept a connection, many at a time on one thread. Nothing is said on these connections.</summary>
internal static class TcpSurvey
{
    public static void Start(SurveyPlan plan, TimeSpan timeout, ITransportEvents events) => new Thread(() =>
    {
        try
        {
            events.Surveyed(plan.Epoch, [.. plan.Targets.Chunk(Limits.SurveyedAtOnceMax).SelectMany(targets => FindUnreachable(targets, timeout))]);
        }
        catch (Exception e)
        {
            events.Failed(e);
        }
    }, maxStackSize: 256 * 1024)
    { IsBackground = true, Name = "collective-survey" }.Start();

    private static List<ushort> FindUnreachable(SurveyTarget[] targets, TimeSpan timeout)
    {
        var unreachable = new List<ushort>();
        var waiting = new Dictionary<Socket, ushort>();
        try
        {
            foreach (var target in targets)
            {
                Dial(target, waiting, unreachable);
            }

            var deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
            while (waiting.Count > 0 && deadline - Environment.TickCount64 is > 0 and var leftMs)
            {
                var decided = waiting.Keys.ToList();
                Socket.Select(null, decided, null, TimeSpan.FromMilliseconds(leftMs));
                foreach (var socket in decided)
                {
                    if (waiting.Remove(socket, out var rank) && (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! != 0)
                    {
                        unreachable.Add(rank);
                    }

                    socket.Dispose();
                }
            }

            unreachable.AddRange(waiting.Values);
            return unreachable;
        }
        finally
        {
            foreach (var socket in waiting.Keys)
            {
                socket.Dispose();
            }
        }
    }

    private static void Dial(SurveyTarget target, Dictionary<Socket, ushort> waiting, List<ushort> unreachable)
    {
        Socket? socket = null;
        try
        {
            var endPoint = target.Address.ToEndPoint();
            socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            socket.Connect(endPoint);
            socket.Dispose(); // At once: that is reached.
        }
        catch (SocketException e) when (socket is not null && e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            waiting.Add(socket, target.Rank);
        }
        catch (SocketException)
        {
            if (socket is not null) // Else this host gave no socket, which says nothing about the other.
            {
                socket.Dispose();
                unreachable.Add(target.Rank);
            }
        }
    }
}
